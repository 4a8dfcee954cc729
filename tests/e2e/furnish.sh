# A shop that has all that pages name: made by `call` and `id`, as the README defines them.
TEAM=$(omnijourney team create "Second shop" --module journeys --module points --module custom_attributes)
SHOP_ACCOUNT=$(call 7403 channel_gateway.v1.ChannelGatewayService/CreateChannelAccount '{"request_id": "shop", "team_id": "'$TEAM'",
    "account": {"channel": "CHANNEL_LINE", "display_name": "Shop",
                "line": {"access_token": "emulator-token", "channel_secrets": ["emulator-secret"]}}}' | id channelAccountId)
ACCOUNT=$(call 7403 channel_gateway.v1.ChannelGatewayService/CreateChannelAccount '{"request_id": "whatsapp", "team_id": "'$TEAM'",
    "account": {"channel": "CHANNEL_WHATSAPP", "display_name": "WhatsApp",
                "whatsapp": {"access_token": "emulator-token", "phone_number_id": "100000000000001",
                             "waba_id": "'$WABA'", "app_secrets": ["emulator-secret"]}}}' | id channelAccountId)
module() { call 7403 channel_gateway.v1.ChannelGatewayService/CreateBotModule '{"request_id": "module '$1'", "team_id": "'$TEAM'",
    "module": {"name": "'$1'", "cards": [{"text": {"text": "'"$2"'"}}]}}' | id botModuleId; }
WELCOME=$(module Welcome 'Hello {{customer.name}}!')
SALE=$(module Sale '{{trigger.code|Ask us for your code.}}')
customer() { call 7404 segment.v1.SegmentService/CreateCustomer '{"request_id": "customer '$1'", "team_id": "'$TEAM'", "customer": '"$2"'}' | id customerId; }
CUSTOMER=$(customer 1 '{"member_id": "M-1", "name": "Ann", "identities": [{"key": {"channel": "CHANNEL_LINE",
    "account_id": "'$SHOP_ACCOUNT'", "external_id": "U0000000000000000000000000000000c"}}]}')
OTHER=$(customer 2 '{"member_id": "M-2", "name": "Dee"}')
SURVIVOR=$(customer 3 '{"member_id": "M-3", "name": "Eve"}')
LOSER=$(customer 4 '{"name": "Eve", "phone": "+886912345678"}')
for one in $CUSTOMER $OTHER $SURVIVOR $LOSER; do
    call 7404 segment.v1.SegmentService/ChangeCustomerTags '{"request_id": "tag '$one'", "team_id": "'$TEAM'", "customer_id": "'$one'", "add": ["vip"]}'
done
call 7404 segment.v1.SegmentService/CreateSavedAudience '{"request_id": "VIP", "team_id": "'$TEAM'",
    "saved_audience": {"name": "VIP", "audience": {"tags": {"operator": "TAG_OPERATOR_ANY_OF", "tags": ["vip"]}}}}'
WEBHOOK=$(call 7403 channel_gateway.v1.ChannelGatewayService/CreateWebhookSubscription '{"request_id": "webhook", "team_id": "'$TEAM'",
    "subscription": {"url": "https://93.184.216.34/hook", "event_types": ["contact.created"]}}' | id webhookSubscriptionId)
call 7402 points.v1.PointsService/AdjustBalance '{"request_id": "points", "team_id": "'$TEAM'", "customer_id": "'$CUSTOMER'", "points": 50, "note": "welcome"}'
journey() { call 7401 journey.v1.JourneyService/CreateJourney '{"request_id": "journey '$1'", "team_id": "'$TEAM'", "definition": {"name": "'$1'",
    "trigger": {"system": {}}, "targets": [{"channel": "CHANNEL_LINE", "account_id": "'$SHOP_ACCOUNT'"}], "nodes": ['"$2"']}}' | id journeyId; }
HELLO='{"node_id": "hello", "next_node_id": "pause", "message": {"channel": "CHANNEL_LINE", "bot_module_id": "'$WELCOME'"}}'
JOURNEY=$(journey Welcome "$HELLO"', {"node_id": "pause", "delay": {"delay": "86400s"}}')
JOURNEY=$(journey Sale '{"node_id": "hello", "message": {"channel": "CHANNEL_LINE", "bot_module_id": "'$SALE'"}}')
call 7401 journey.v1.JourneyService/PublishJourney '{"request_id": "sale", "team_id": "'$TEAM'", "journey_id": "'$JOURNEY'"}'
event() { call 7404 segment.v1.SegmentService/RecordEvents '{"events": [{"team_id": "'$TEAM'", "event_key": "'$1'", "customer": '"$2"',
    "occur_time": "'$(date -u +%FT%TZ)'", "order_completed": {"shop_id": "web", "order_id": "'$1'", "signed": true,
    "amount": {"currency_code": "TWD", "amount_micros": 360000000}}}]}'; }
event 1001 '{"member_id": "M-1"}'
event 1002 '{"member_id": "M-3", "phone": "+886912345678"}'
