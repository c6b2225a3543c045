-- What a store in Valkey does, each operation as one atomic step.
-- KEYS[1] is the key that it is about; ARGV[1] has the operation and its arguments, as MessagePack, which has no bytes
-- here; these are the further ARGV, in the order in which they are used.

local args = cmsgpack.unpack(ARGV[1])
local call = redis.call
local FIRST_OUTPUT = 2 ^ 40
local used = 1

local function next_bytes()
    used = used + 1
    return ARGV[used]
end

local function key(part, place) return 'claude-relay:' .. part .. ':' .. (place or args.place) end

local function index(id) return key('item', args.tag .. ':' .. id) end

local function is_leased() return call('HEXISTS', KEYS[1], 'lease_until') == 1 end

-- GT alone takes a key that never expires for one that expires last
local function expire(name, milliseconds)
    call('PEXPIREAT', name, milliseconds, 'NX')
    call('PEXPIREAT', name, milliseconds, 'GT')
end

local function keep_longer(place, expires_at, expires_ms)
    for _, part in ipairs({'record', 'order', 'items'}) do expire(key(part, place), expires_ms) end
    for _, id in ipairs(call('ZRANGE', key('order', place), 0, -1)) do expire(index(id), expires_ms) end
    if tonumber(call('HGET', key('record', place), 'expires_at')) < tonumber(expires_at) then
        call('HSET', key('record', place), 'expires_at', expires_at)
    end
end

local function put(place, ids, first, body_of)
    local last = call(
        'ZREVRANGEBYSCORE', key('order', place), '(' .. (first + FIRST_OUTPUT), first, 'WITHSCORES', 'LIMIT', 0, 1)
    local position = last[2] and last[2] + 1 or first
    local record = key('record', place)
    local created, expires_ms = call('HGET', record, 'created'), call('PEXPIRETIME', record)
    for _, id in ipairs(ids) do
        call('ZADD', key('order', place), 'NX', position, id)
        call('HSET', key('items', place), id, body_of(id))
        call('ZADD', index(id), created, place)
        expire(index(id), expires_ms)
        position = position + 1
    end
    expire(key('order', place), expires_ms)
    expire(key('items', place), expires_ms)
end

local function keep(ids, first) put(args.place, ids, first, next_bytes) end

local function copy()
    local place = args.copied_to
    if not place or call('EXISTS', key('record', place)) == 0 then return end
    keep_longer(place, call('HGET', KEYS[1], 'expires_at'), call('PEXPIRETIME', KEYS[1]))
    put(place, call('ZRANGE', key('order'), 0, -1), 0, function(id) return call('HGET', key('items'), id) end)
end

local operations = {}

function operations.create()
    if call('EXISTS', KEYS[1]) == 1 then return 0 end
    local now = call('TIME')
    call('HSET', KEYS[1], 'body', next_bytes(), 'created', now[1] * 1000000 + now[2])
    for field, value in pairs(args.fields) do call('HSET', KEYS[1], field, value) end
    call('PEXPIREAT', KEYS[1], args.expires_ms)
    local recent = key('recent', args.scope)
    call('ZADD', recent, call('HGET', KEYS[1], 'created'), args.id)
    call('ZREMRANGEBYRANK', recent, 0, -args.most_recent - 1)
    expire(recent, args.expires_ms)
    keep(args.inputs, 0)
    keep(args.outputs, FIRST_OUTPUT)
    copy()
    return 1
end

function operations.complete()
    if not is_leased() then return 0 end
    call('HSET', KEYS[1], 'body', next_bytes())
    call('HDEL', KEYS[1], 'lease_until', 'cancelled')
    keep(args.outputs, FIRST_OUTPUT)
    copy()
    -- wakes who follows
    call('XADD', key('events'), 'NOMKSTREAM', '*', 'end', '')
    call('PEXPIREAT', key('events'), args.log_ms, 'LT')
    return 1
end

function operations.update()
    if call('EXISTS', KEYS[1]) == 0 then return 0 end
    if args.has_body then call('HSET', KEYS[1], 'body', next_bytes()) end
    keep_longer(args.place, args.expires_at, args.expires_ms)
    keep(args.inputs, 0)
    return 1
end

function operations.get() return call('HMGET', KEYS[1], 'body', 'expires_at', 'previous', 'lease_until') end

function operations.recent()
    local found = {}
    for _, id in ipairs(call('ZREVRANGE', KEYS[1], 0, -1)) do
        local fields = call('HMGET', key('record', args.scope .. id), 'body', 'expires_at', 'previous', 'lease_until')
        if fields[1] and #found < args.limit then table.insert(found, {id, fields}) end
    end
    return found
end

function operations.lease() return call('HGET', KEYS[1], 'lease_until') end

function operations.delete()
    for _, id in ipairs(call('ZRANGE', key('order'), 0, -1)) do call('ZREM', index(id), args.place) end
    call('DEL', key('order'), key('items'), key('events'))
    call('ZREM', key('recent', args.scope), args.id)
    return call('DEL', KEYS[1])
end

function operations.renew()
    if not is_leased() then return 'lost' end
    call('HSET', KEYS[1], 'lease_until', args.lease_until)
    return call('HEXISTS', KEYS[1], 'cancelled') == 1 and 'cancelled' or 'held'
end

function operations.request_cancel()
    if not is_leased() then return 0 end
    call('HSET', KEYS[1], 'cancelled', 1)
    return 1
end

function operations.history()
    local places, place = {}, args.place
    while place do
        if call('EXISTS', key('record', place)) == 0 then return false end
        table.insert(places, 1, place)
        local previous = call('HGET', key('record', place), 'previous')
        place = previous and args.scope .. previous
    end
    local found = {}
    for _, each in ipairs(places) do
        keep_longer(each, args.expires_at, args.expires_ms)
        for _, id in ipairs(call('ZRANGE', key('order', each), 0, -1)) do
            table.insert(found, {id, call('HGET', key('items', each), id)})
        end
    end
    return found
end

function operations.items()
    local found = {}
    for _, id in ipairs(args.ids) do
        for _, place in ipairs(call('ZREVRANGE', index(id), 0, -1)) do
            local body = call('HGET', key('items', place), id)
            if body then
                table.insert(found, {id, body})
                break
            end
        end
    end
    return found
end

function operations.item() return call('HGET', key('items'), args.id) end

function operations.page()
    if call('EXISTS', KEYS[1]) == 0 then return false end
    local start = args.descending and FIRST_OUTPUT or -1
    if args.after then
        start = tonumber(call('ZSCORE', key('order'), args.after) or FIRST_OUTPUT)
        if start >= FIRST_OUTPUT then return false end
    end
    local ids
    if args.descending then
        ids = call('ZREVRANGEBYSCORE', key('order'), '(' .. start, 0, 'LIMIT', 0, args.limit)
    else
        ids = call('ZRANGEBYSCORE', key('order'), '(' .. start, '(' .. FIRST_OUTPUT, 'LIMIT', 0, args.limit)
    end
    local found = {}
    for _, id in ipairs(ids) do table.insert(found, {id, call('HGET', key('items'), id)}) end
    return found
end

function operations.remove_item()
    if call('HDEL', key('items'), args.id) == 0 then return 0 end
    call('ZREM', index(args.id), args.place)
    return call('ZREM', key('order'), args.id)
end

function operations.append()
    if not is_leased() then return 0 end
    local newest = call('XREVRANGE', key('events'), '+', '-', 'COUNT', 1)[1]
    local last = newest and tonumber(string.match(newest[1], '%d+')) or 0
    for _, number in ipairs(args.sequence_numbers) do
        local data = next_bytes()
        if number + 1 > last then
            last = number + 1
            call('XADD', key('events'), last .. '-0', 'event', data)
        end
    end
    call('PEXPIREAT', key('events'), call('PEXPIRETIME', KEYS[1]))
    return 1
end

function operations.claim()
    local held, digest = call('HMGET', KEYS[1], 'digest', 'response_id'), next_bytes()
    if held[1] then return {held[1] == digest and 'joined' or 'conflict', held[2]} end
    call('HSET', KEYS[1], 'digest', digest, 'response_id', args.response_id)
    call('PEXPIREAT', KEYS[1], args.expires_ms)
    return {'new', args.response_id}
end

function operations.release()
    return call('HGET', KEYS[1], 'response_id') == args.response_id and call('DEL', KEYS[1])
end

function operations.count()
    local total = call('INCRBYFLOAT', KEYS[1], args.amount)
    call('PEXPIREAT', KEYS[1], args.expires_ms, 'NX')
    return total
end

function operations.admit()
    local function exact(number) return string.format('%.0f', number) end
    local time = call('TIME')
    local now = time[1] * 1000000 + time[2]
    call('ZREMRANGEBYSCORE', KEYS[1], '-inf', exact(now - args.window_us))
    -- admitted before the clock was set back
    call('ZREMRANGEBYSCORE', KEYS[1], '(' .. exact(now), '+inf')
    local there = call('ZCARD', KEYS[1])
    local excess = there + args.amount - args.most
    if excess > 0 then
        local last = math.min(excess, there) - 1
        local oldest = there > 0 and call('ZRANGE', KEYS[1], last, last, 'WITHSCORES')[2] or now
        return oldest + args.window_us - now
    end
    for number = 1, args.amount do
        call('ZADD', KEYS[1], exact(now), exact(now) .. '-' .. there + number)
    end
    call('PEXPIRE', KEYS[1], math.ceil(args.window_us / 1000))
    return 0
end

function operations.withdraw() return call('ZREMRANGEBYRANK', KEYS[1], -args.amount, -1) end

return operations[args.operation]()
