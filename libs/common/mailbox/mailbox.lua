#!lua name=omnijourney
-- Mailboxes of the partitions whose keys a call names. Redis 7.0 and later, Valkey.
--
-- Every KEYS[i] is `oj:{p}:ready` of one partition; in a cluster a call has one, else as many as it likes. Every other key of a
-- partition begins with the same `oj:{p}:` and so lies in the same cluster slot:
--   m:<team hex><customer hex>  stream, field `m` = one mail; exists only while it holds mail
--   ready  list of customers with mail that nobody works on      taken  set of customers handed to the owner
--   hwm    hash: source -> highest position delivered
--   owner  hash: `epoch`, the highest that claimed the partition; `gen`, id of the server process whose data is complete, with
--          `?` before it while the owner repairs; `attempt`, raised when the owner gave up waiting for an answer
-- A member of ready and taken is the 64 hex digits of team and customer. Invariant: a stream exists <=> its customer is in
-- exactly one of ready and taken.
--
-- `oj_<function>_many` takes ARGV[1], a msgpack array with the arguments of each partition in the order of KEYS, and replies with
-- an array of their answers. A partition's answer is {status, ...} with status OK, FENCED, LOST or STALE (a call of an earlier
-- attempt, overtaken on its way); what becomes of one partition is nothing to the others. `oj_<function>` is the same for one
-- partition, its arguments plain: what callers of version 1 say.
-- Raise VERSION in library.py with every change of this file.

-- Id of this server process. Functions keep their upvalues for the life of the process and no longer, so a restarted or
-- promoted server finds nil here and learns its own id; it then differs from `gen`, which came with the data.
local run_id = nil

local function server_id()
  if not run_id then
    run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
  end
  return run_id
end

local function prefix_of(ready)
  return string.sub(ready, 1, -6)
end

-- nil if `epoch` owns the partition, its data is complete and nobody waits for a later attempt; else the refusal.
local function refusal(prefix, epoch, attempt)
  local stored = redis.call('HMGET', prefix .. 'owner', 'epoch', 'gen', 'attempt')
  if stored[1] and tonumber(stored[1]) > tonumber(epoch) then
    return {'FENCED'}
  end
  if not stored[1] or tonumber(stored[1]) < tonumber(epoch) or stored[2] ~= server_id() then
    return {'LOST'}
  end
  if tonumber(stored[3]) > tonumber(attempt) then
    return {'STALE'}
  end
  return nil
end

local CHUNK = 1000 -- members per command: unpack is bounded by Lua's stack

local function in_chunks(command, key, members)
  for first = 1, #members, CHUNK do
    redis.call(command, key, unpack(members, first, math.min(first + CHUNK - 1, #members)))
  end
end

-- 1 or 0 for each member.
local function are_members(key, members)
  local found = {}
  for first = 1, #members, CHUNK do
    local chunk = redis.call('SMISMEMBER', key, unpack(members, first, math.min(first + CHUNK - 1, #members)))
    for i, is_member in ipairs(chunk) do
      found[first + i - 1] = is_member
    end
  end
  return found
end

-- The members whose stream does not exist. Mostly that is all of them or none, which one call answers.
local function without_stream(members, streams)
  local found, missing = 0, {}
  for first = 1, #streams, CHUNK do
    found = found + redis.call('EXISTS', unpack(streams, first, math.min(first + CHUNK - 1, #streams)))
  end
  if found == 0 then
    return members
  end
  for i = 1, found < #streams and #streams or 0 do
    if redis.call('EXISTS', streams[i]) == 0 then
      missing[#missing + 1] = members[i]
    end
  end
  return missing
end

-- Raises the marks (source, position)... at args[first] to args[last].
local function note_marks(hwm, args, first, last)
  for i = first, last, 2 do
    local known = redis.call('HGET', hwm, args[i])
    if not known or tonumber(known) < tonumber(args[i + 1]) then
      redis.call('HSET', hwm, args[i], args[i + 1])
    end
  end
end

-- Arguments from `first` on: number of marks, (source, position)..., (member, count, payload...)... with each member once.
-- True if a customer became ready.
local function add(ready, args, first)
  local prefix = prefix_of(ready)
  local at = first + 1 + 2 * tonumber(args[first])
  note_marks(prefix .. 'hwm', args, first + 1, at - 1)
  local members, streams, place = {}, {}, at
  while place <= #args do
    members[#members + 1] = args[place]
    streams[#streams + 1] = prefix .. 'm:' .. args[place]
    place = place + 2 + tonumber(args[place + 1])
  end
  local fresh = without_stream(members, streams)
  for _, stream in ipairs(streams) do
    local last = at + 1 + tonumber(args[at + 1])
    for i = at + 2, last do
      redis.call('XADD', stream, '*', 'm', args[i])
    end
    at = last + 1
  end
  local woken = {}
  for i, held in ipairs(are_members(prefix .. 'taken', fresh)) do
    if held == 0 then
      woken[#woken + 1] = fresh[i]
    end
  end
  in_chunks('RPUSH', ready, woken)
  return #woken > 0
end

-- ARGV: channel of wakes, partition, then what `add` wants
local function deliver(keys, args)
  if add(keys[1], args, 3) then
    redis.call('PUBLISH', args[1], args[2])
  end
  return {'OK'}
end

-- ARGV: what `add` wants for each partition; channel of wakes. One message wakes all partitions: numbers with commas between.
local function deliver_many(keys, args)
  local replies, wakes = {}, {}
  for i, arguments in ipairs(cmsgpack.unpack(args[1])) do
    if add(keys[i], arguments, 1) then
      wakes[#wakes + 1] = string.match(keys[i], '{(%d+)}')
    end
    replies[i] = {'OK'}
  end
  if #wakes > 0 then
    redis.call('PUBLISH', args[2], table.concat(wakes, ','))
  end
  return replies
end

local FIRST_READ, NEXT_READ = 16, 32 -- entries of one read: most customers have fewer, and each may have some 100 kB

-- The oldest mail of a customer as {member, last entry id, payload...}, and its bytes: up to `mail_max`, and no more once it has
-- `bytes_max`. nil if there is none.
local function oldest(stream, member, mail_max, bytes_max)
  local box, bytes, from, count = {member, ''}, 0, '-', math.min(FIRST_READ, mail_max)
  repeat
    local entries = redis.call('XRANGE', stream, from, '+', 'COUNT', count)
    for _, entry in ipairs(entries) do
      box[2], box[#box + 1] = entry[1], entry[2][2]
      bytes = bytes + #entry[2][2]
      if bytes >= bytes_max then
        return box, bytes
      end
    end
    local is_last = #entries < count
    from, count = '(' .. box[2], math.min(NEXT_READ, mail_max - #box + 2)
  until is_last or count == 0
  return #box > 2 and box or nil, bytes
end

-- Hands out up to `customers_max` ready customers, no more once they have `room.all` bytes of mail: appends to the reply what
-- `oldest` has of each, and takes its bytes off `room.all`. Returns how many were ready, up to that.
local function hand_out(reply, ready, customers_max, mail_max, room)
  local prefix = prefix_of(ready)
  local members = redis.call('LPOP', ready, customers_max)
  if not members then
    return 0
  end
  local held, left = {}, {}
  for _, member in ipairs(members) do
    if room.all <= 0 then
      left[#left + 1] = member
    else
      local box, bytes = oldest(prefix .. 'm:' .. member, member, mail_max, room.each)
      if box then
        reply[#reply + 1] = box
        held[#held + 1] = member
        room.all = room.all - bytes
      end
    end
  end
  in_chunks('SADD', prefix .. 'taken', held)
  for at = #left, 1, -1 do
    redis.call('LPUSH', ready, left[at])
  end
  return #members
end

-- ARGV: epoch, attempt, customers_max, mail_max. Reply: OK, then what `hand_out` appends.
local function take(ready, args)
  local reply = refusal(prefix_of(ready), args[1], args[2])
  if not reply then
    reply = {'OK'}
    hand_out(reply, ready, args[3], tonumber(args[4]), {each = math.huge, all = math.huge})
  end
  return reply
end

-- ARGV: {customers_max of all together, mail_max, epoch, attempt, epoch, attempt..., bytes of one customer's mail, of all together};
-- callers of version 4 and before do not say the last two: no bound.
-- The places are shared out evenly; what is left goes to the partitions that had as many as they were asked for.
local function take_many(keys, args)
  local wanted = cmsgpack.unpack(args[1])
  local places, mail_max = wanted[1], wanted[2]
  local room = {each = wanted[2 * #keys + 3] or math.huge, all = wanted[2 * #keys + 4] or math.huge}
  local replies, open = {}, {}
  for i, ready in ipairs(keys) do
    replies[i] = refusal(prefix_of(ready), wanted[2 * i + 1], wanted[2 * i + 2]) or {'OK'}
    if replies[i][1] == 'OK' then
      open[#open + 1] = i
    end
  end
  while #open > 0 and places > 0 and room.all > 0 do
    local share, more = math.max(1, math.floor(places / #open)), {}
    for _, i in ipairs(open) do
      local asked = math.min(share, places)
      local found = asked > 0 and room.all > 0 and hand_out(replies[i], keys[i], asked, mail_max, room) or 0
      places = places - found
      if found == share then
        more[#more + 1] = i
      end
    end
    open = more
  end
  return replies
end

-- ARGV: epoch, attempt, (member, last entry id)... Reply: OK, 1 and (source, position)... if the partition is empty now.
local function trim(ready, args)
  local prefix = prefix_of(ready)
  local refused = refusal(prefix, args[1], args[2])
  if refused then
    return refused
  end
  local taken = prefix .. 'taken'
  local members, last = {}, {}
  for at = 3, #args, 2 do
    if not last[args[at]] then
      members[#members + 1] = args[at]
      last[args[at]] = args[at + 1]
    end
  end
  local done, empty, more = {}, {}, {}
  for i, held in ipairs(are_members(taken, members)) do
    local member = members[i]
    -- Only what is in the owner's hands: a customer who was put back or claimed away is left alone.
    if held == 1 then
      local stream = prefix .. 'm:' .. member
      local rest = redis.call('XRANGE', stream, '(' .. last[member], '+', 'COUNT', 1)
      if #rest == 0 then
        done[#done + 1] = member
        empty[#empty + 1] = stream
      elseif redis.call('XTRIM', stream, 'MINID', '=', rest[1][1]) > 0 then
        done[#done + 1] = member
        more[#more + 1] = member
      end -- else a trim said twice: the customer was taken again in between, and stays so
    end
  end
  in_chunks('SREM', taken, done)
  for first = 1, #empty, CHUNK do
    redis.call('DEL', unpack(empty, first, math.min(first + CHUNK - 1, #empty)))
  end
  in_chunks('RPUSH', ready, more)
  if redis.call('EXISTS', ready, taken) > 0 then
    return {'OK'}
  end
  local reply = redis.call('HGETALL', prefix .. 'hwm')
  table.insert(reply, 1, 'OK')
  table.insert(reply, 2, 1)
  return reply
end

-- ARGV: epoch, attempt, member... (the first one shall be first in the line)
local function put_back(ready, args)
  local prefix = prefix_of(ready)
  local refused = refusal(prefix, args[1], args[2])
  if refused then
    return refused
  end
  for at = #args, 3, -1 do
    if redis.call('SREM', prefix .. 'taken', args[at]) == 1 then
      redis.call('LPUSH', ready, args[at])
    end
  end
  return {'OK'}
end

-- ARGV: epoch, attempt, member... (all that the owner knows to be in its hands)
-- The owner did not get the answer to a call. Customers that a lost take handed out become ready again; the call itself, should
-- it still be on its way, is stale from now on.
local function settle(ready, args)
  local prefix = prefix_of(ready)
  local refused = refusal(prefix, args[1], args[2])
  if refused then
    return refused
  end
  redis.call('HSET', prefix .. 'owner', 'attempt', args[2])
  local held, orphans = {}, {}
  for at = 3, #args do
    held[args[at]] = true
  end
  for _, member in ipairs(redis.call('SMEMBERS', prefix .. 'taken')) do
    if not held[member] then
      orphans[#orphans + 1] = member
    end
  end
  in_chunks('SREM', prefix .. 'taken', orphans)
  in_chunks('LPUSH', ready, orphans)
  return {'OK'}
end

-- ARGV: epoch, attempt
local function claim(ready, args)
  local prefix = prefix_of(ready)
  local owner = redis.call('HMGET', prefix .. 'owner', 'epoch', 'gen', 'attempt')
  if owner[1] and tonumber(owner[1]) > tonumber(args[1]) then
    return {'FENCED'}
  end
  if tonumber(owner[1]) == tonumber(args[1]) and tonumber(owner[3]) > tonumber(args[2]) then
    return {'STALE'}
  end
  redis.call('HSET', prefix .. 'owner', 'epoch', args[1], 'attempt', args[2])
  in_chunks('LPUSH', ready, redis.call('SMEMBERS', prefix .. 'taken'))
  redis.call('DEL', prefix .. 'taken')
  if owner[2] == server_id() then
    return {'OK'}
  end
  -- Not complete before the owner says so; if the data goes again meanwhile, this mark goes with it.
  redis.call('HSET', prefix .. 'owner', 'gen', '?' .. server_id())
  return {'LOST'}
end

-- ARGV: epoch, attempt
local function repaired(ready, args)
  local prefix = prefix_of(ready)
  local owner = redis.call('HMGET', prefix .. 'owner', 'epoch', 'gen')
  if tonumber(owner[1]) == tonumber(args[1]) and owner[2] == '?' .. server_id() then
    redis.call('HSET', prefix .. 'owner', 'gen', server_id())
  end
  return refusal(prefix, args[1], args[2]) or {'OK'}
end

local function depth(ready)
  return {'OK', redis.call('LLEN', ready), redis.call('SCARD', prefix_of(ready) .. 'taken')}
end

-- ARGV: most. Reply: OK, number of mails in the partition; counting ends at `most`, so that it costs no more than that.
local function count(ready, args)
  local prefix, most, found = prefix_of(ready), tonumber(args[1]), 0
  local function add(members)
    for _, member in ipairs(members) do
      if found >= most then
        return
      end
      found = found + redis.call('XLEN', prefix .. 'm:' .. member)
    end
  end
  add(redis.call('SRANDMEMBER', prefix .. 'taken', most))
  for first = 0, most - 1, CHUNK do
    local members = redis.call('LRANGE', ready, first, first + CHUNK - 1)
    if #members == 0 or found >= most then
      break
    end
    add(members)
  end
  return {'OK', math.min(found, most)}
end

-- `f(ready, arguments)` for one partition, and for many.
local function one(f)
  return function(keys, args)
    return f(keys[1], args)
  end
end

local function many(f)
  return function(keys, args)
    local replies = {}
    for i, arguments in ipairs(cmsgpack.unpack(args[1])) do
      replies[i] = f(keys[i], arguments)
    end
    return replies
  end
end

local function register(name, single, several, ...)
  redis.register_function{function_name = 'oj_' .. name, callback = single, flags = {...}}
  redis.register_function{function_name = 'oj_' .. name .. '_many', callback = several, flags = {...}}
end

register('deliver', deliver, deliver_many)
-- What gives memory back must work when there is none left.
register('take', one(take), take_many, 'allow-oom')
register('trim', one(trim), many(trim), 'allow-oom')
register('put_back', one(put_back), many(put_back), 'allow-oom')
register('settle', one(settle), many(settle), 'allow-oom')
register('claim', one(claim), many(claim), 'allow-oom')
register('repaired', one(repaired), many(repaired), 'allow-oom')
register('depth', one(depth), many(depth), 'no-writes')
register('count', one(count), many(count), 'no-writes')
redis.register_function{function_name = 'oj_version',
  callback = function() return {@VERSION@, '@DIGEST@'} end, flags = {'no-writes'}}
