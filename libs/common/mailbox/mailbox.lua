#!lua name=omnijourney
-- Mailboxes of one partition per call. Redis 7.0 and later, Valkey.
--
-- KEYS[1] is always `oj:{p}:ready`. Every other key begins with the same `oj:{p}:` and so lies in the same cluster slot:
--   m:<team hex><customer hex>  stream, field `m` = one mail; exists only while it holds mail
--   ready  list of customers with mail that nobody works on      taken  set of customers handed to the owner
--   hwm    hash: source -> highest position delivered
--   owner  hash: `epoch`, the highest that claimed the partition; `gen`, id of the server process whose data is complete, with
--          `?` before it while the owner repairs; `attempt`, raised when the owner gave up waiting for an answer
-- A member of ready and taken is the 64 hex digits of team and customer. Invariant: a stream exists <=> its customer is in
-- exactly one of ready and taken.
--
-- Replies are {status, ...} with status OK, FENCED, LOST or STALE (a call of an earlier attempt, overtaken on its way).
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

-- ARGV: poke channel, partition, number of marks, (source, position)..., (member, count, payload...)...
local function deliver(keys, args)
  local ready = keys[1]
  local prefix = prefix_of(ready)
  local hwm = prefix .. 'hwm'
  local marks = tonumber(args[3])
  local at = 4 + 2 * marks
  local woken = {}
  while at <= #args do
    local member, count = args[at], tonumber(args[at + 1])
    local stream = prefix .. 'm:' .. member
    if redis.call('EXISTS', stream) == 0 and redis.call('SISMEMBER', prefix .. 'taken', member) == 0 then
      woken[#woken + 1] = member
    end
    for i = at + 2, at + 1 + count do
      redis.call('XADD', stream, '*', 'm', args[i])
    end
    at = at + 2 + count
  end
  for i = 4, 3 + 2 * marks, 2 do
    local known = redis.call('HGET', hwm, args[i])
    if not known or tonumber(known) < tonumber(args[i + 1]) then
      redis.call('HSET', hwm, args[i], args[i + 1])
    end
  end
  if #woken > 0 then
    in_chunks('RPUSH', ready, woken)
    redis.call('PUBLISH', args[1], args[2])
  end
  return {'OK'}
end

-- ARGV: epoch, attempt, customers_max, mail_max. Reply: OK, {member, last entry id, payload...}...
local function take(keys, args)
  local ready = keys[1]
  local prefix = prefix_of(ready)
  local refused = refusal(prefix, args[1], args[2])
  if refused then
    return refused
  end
  local members = redis.call('LPOP', ready, args[3])
  local reply = {'OK'}
  if not members then
    return reply
  end
  local held = {}
  for _, member in ipairs(members) do
    local entries = redis.call('XRANGE', prefix .. 'm:' .. member, '-', '+', 'COUNT', args[4])
    if #entries > 0 then
      local box = {member, entries[#entries][1]}
      for i, entry in ipairs(entries) do
        box[i + 2] = entry[2][2]
      end
      reply[#reply + 1] = box
      held[#held + 1] = member
    end
  end
  in_chunks('SADD', prefix .. 'taken', held)
  return reply
end

-- ARGV: epoch, attempt, (member, last entry id)... Reply: OK, 1 and (source, position)... if the partition is empty now.
local function trim(keys, args)
  local ready = keys[1]
  local prefix = prefix_of(ready)
  local refused = refusal(prefix, args[1], args[2])
  if refused then
    return refused
  end
  local taken = prefix .. 'taken'
  local more = {}
  for at = 3, #args, 2 do
    local member = args[at]
    local stream = prefix .. 'm:' .. member
    -- Only what is in the owner's hands: a customer who was put back or claimed away is left alone.
    if redis.call('SREM', taken, member) == 1 then
      local rest = redis.call('XRANGE', stream, '(' .. args[at + 1], '+', 'COUNT', 1)
      if #rest == 0 then
        redis.call('DEL', stream)
      else
        if redis.call('XTRIM', stream, 'MINID', '=', rest[1][1]) > 0 then
          more[#more + 1] = member
        else
          redis.call('SADD', taken, member) -- a trim said twice: the customer was taken anew in between
        end
      end
    end
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
local function put_back(keys, args)
  local ready = keys[1]
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
local function settle(keys, args)
  local ready = keys[1]
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
local function claim(keys, args)
  local ready = keys[1]
  local prefix = prefix_of(ready)
  local owner = redis.call('HMGET', prefix .. 'owner', 'epoch', 'gen', 'attempt')
  if owner[1] and tonumber(owner[1]) > tonumber(args[1]) then
    return {'FENCED'}
  end
  if owner[1] == args[1] and tonumber(owner[3]) > tonumber(args[2]) then
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
local function repaired(keys, args)
  local prefix = prefix_of(keys[1])
  local owner = redis.call('HMGET', prefix .. 'owner', 'epoch', 'gen')
  if owner[1] == args[1] and owner[2] == '?' .. server_id() then
    redis.call('HSET', prefix .. 'owner', 'gen', server_id())
  end
  return refusal(prefix, args[1], args[2]) or {'OK'}
end

local function depth(keys, args)
  return {'OK', redis.call('LLEN', keys[1]), redis.call('SCARD', prefix_of(keys[1]) .. 'taken')}
end

-- ARGV: most. Reply: OK, number of mails in the partition; counting ends at `most`, so that it costs no more than that.
local function count(keys, args)
  local prefix, most, found = prefix_of(keys[1]), tonumber(args[1]), 0
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
    local members = redis.call('LRANGE', keys[1], first, first + CHUNK - 1)
    if #members == 0 or found >= most then
      break
    end
    add(members)
  end
  return {'OK', math.min(found, most)}
end

redis.register_function('oj_deliver', deliver)
-- What gives memory back must work when there is none left.
redis.register_function{function_name = 'oj_take', callback = take, flags = {'allow-oom'}}
redis.register_function{function_name = 'oj_trim', callback = trim, flags = {'allow-oom'}}
redis.register_function{function_name = 'oj_put_back', callback = put_back, flags = {'allow-oom'}}
redis.register_function{function_name = 'oj_settle', callback = settle, flags = {'allow-oom'}}
redis.register_function{function_name = 'oj_claim', callback = claim, flags = {'allow-oom'}}
redis.register_function{function_name = 'oj_repaired', callback = repaired, flags = {'allow-oom'}}
redis.register_function{function_name = 'oj_depth', callback = depth, flags = {'no-writes'}}
redis.register_function{function_name = 'oj_count', callback = count, flags = {'no-writes'}}
redis.register_function{function_name = 'oj_version',
  callback = function() return {@VERSION@, '@DIGEST@'} end, flags = {'no-writes'}}
