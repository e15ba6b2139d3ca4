-- Gives tokens of one bucket for use now or a little later.
--
-- Invariant: by any moment t, no more than rate × t tokens and one second's worth have
-- been given for use by then. The value is the moment at which the next token is free;
-- it is a time, not a count, so that it stands whatever becomes of the rate.
--
-- KEYS[1]  the bucket: a moment on Redis's clock, in microseconds; gone once it says
--          nothing any more
-- ARGV[1]  rate: tokens a second
-- ARGV[2]  least: enough where others are already waiting for a second and more
-- ARGV[3]  want: at most this many
--
-- Returns {tokens, microseconds}: tokens may be used after that time. No tokens: too
-- many wait already; ask again after it.

local burst, crowd, horizon = 1000000, 1000000, 5000000

local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local free = tonumber(redis.call('GET', KEYS[1]) or '0')

-- Farther off than any grant can lead: the clock was set back.
if free > now + horizon + 1000000 then
	free = now
end
if free > now + horizon then
	return {0, free - now - horizon + 250000}
end
local tokens = tonumber(ARGV[3])
if free > now + crowd then
	tokens = tonumber(ARGV[2])
end

free = math.max(free, now - burst) + math.ceil(tokens * 1000000 / tonumber(ARGV[1]))
local wait = math.max(0, free - now)
redis.call('SET', KEYS[1], free, 'PX', math.ceil((wait + burst) / 1000))
return {tokens, wait}
