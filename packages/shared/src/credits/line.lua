-- Who gets a free slot, where rows of several batches wait for one. All who wait ask again and again, and whoever asks next
-- is anybody: by that alone a batch holds most of the slots for long, by luck. A free slot is for the account with the
-- fewest calls of rows in flight, then for its batch with the fewest, as tickets are. Of equals it is anybody's, so that it
-- does not stand idle until a certain one asks; but one that was served last, or came, PATIENCE_MS ago goes before those
-- that were served since.
--   line       sorted set '<batch> <account>': until when rows of the batch count as waiting, unless one asks again
--   served_at  hash '<batch> <account>' of those in the line, 'a:<account>': when it was served last, or came
-- Needs guard.lua and rows.lua.

local PATIENCE_MS = 500
-- Rows of a batch have to ask again within this time of when they were to, in milliseconds, or it keeps no slot from others.
local LATE_MS = 1000

-- A row of the batch is told to ask again after `ms`.
local function line_up(batch, account, ms, now)
  local name = batch .. ' ' .. account
  if redis.call('ZADD', P .. 'line', now + ms + LATE_MS, name) == 0 then return end
  redis.call('HSET', P .. 'served_at', name, now)
  redis.call('HSETNX', P .. 'served_at', 'a:' .. account, now)
end

-- A row of the batch gets a slot.
local function had_slot(batch, account, now)
  if redis.call('ZCARD', P .. 'line') == 0 then return end
  local name = batch .. ' ' .. account
  redis.call('HSET', P .. 'served_at', 'a:' .. account, now)
  if redis.call('ZSCORE', P .. 'line', name) then redis.call('HSET', P .. 'served_at', name, now) end
end

-- How many calls of rows are in flight, by batch and by account ('a:<account>').
local function rows_in_flight()
  local counts, accounts = {}, {}
  local ids = redis.call('ZRANGE', P .. 'slots', 0, -1)
  for _, text in ipairs(#ids > 0 and redis.call('HMGET', P .. 'calls', unpack(ids)) or {}) do
    -- To decode every entry would cost several times as much.
    local batch = row_of(string.match(text or '', '"job":"([^"]*)"') or '')
    if batch then
      local account = accounts[batch] or 'a:' .. (batch_field(batch, 'account') or '')
      accounts[batch] = account
      counts[batch] = (counts[batch] or 0) + 1
      counts[account] = (counts[account] or 0) + 1
    end
  end
  return counts
end

-- Whether a free slot is for a row of another batch, which waits for it.
local function is_others_turn(batch, account, now)
  local own, counts = batch .. ' ' .. account, nil
  local line = redis.call('ZRANGE', P .. 'line', 0, -1, 'WITHSCORES')
  for i = 1, #line, 2 do
    local name = line[i]
    if tonumber(line[i + 1]) <= now then
      redis.call('ZREM', P .. 'line', name)
      redis.call('HDEL', P .. 'served_at', name)
    elseif name ~= own then
      counts = counts or rows_in_flight()
      local of_batch, of_account = string.match(name, '^(%S+) (.*)$')
      local theirs, mine, names = counts[of_batch] or 0, counts[batch] or 0, { name, own }
      -- Where all of a batch's tickets have calls by now, nobody waits.
      if tonumber(redis.call('HGET', P .. 'window', 'b:' .. of_batch) or 0) > theirs then
        if of_account ~= account then
          names = { 'a:' .. of_account, 'a:' .. account }
          theirs, mine = counts[names[1]] or 0, counts[names[2]] or 0
        end
        if theirs < mine then return true end
        if theirs == mine then
          local at = redis.call('HMGET', P .. 'served_at', unpack(names))
          local since = tonumber(at[1] or now)
          if since + PATIENCE_MS <= now and since < tonumber(at[2] or now) then return true end
        end
      end
    end
  end
  return false
end
