-- The rules for what the upstream says of the balance: pure, nothing here reads or writes Redis.

-- Answers arrive in any order, and other programs spend from the same account, so a reading says what was left at some
-- moment of the past. It may raise the balance only if it is quiet: nothing was settled between its request's start and
-- its arrival; and then it is exact. Otherwise the lower of the two counts. What this takes too much off is given back
-- by the next quiet reading, which is asked for before work is held.
--   balance  nanocredits that we believe to be left, net of all that was settled; nil when none was ever read
--   reading  nanocredits that the upstream reported
--   exact    whether nothing was settled in between, and the reading is one to be believed
local function balance_after(balance, reading, exact)
  if balance == nil or exact then return reading end
  return math.min(balance, reading)
end

-- The header of an answer and the balance call need not count alike, as with free credits. How much is to be added to a
-- header is learned from the last three pairs: what the call said, less what the last header before it had said, with
-- nothing in flight. Something is added only if all three say so, the least of what they say: what is added hides what
-- others spend. Something is taken off if two say so. So neither one top-up between the two nor one garbled header counts.
--   differences  nanocredits, the newest first
local PAIRS = 3
local function offset_of(differences)
  if #differences < PAIRS then return 0 end
  local sorted = { differences[1], differences[2], differences[3] }
  table.sort(sorted)
  return sorted[1] > 0 and sorted[1] or math.min(sorted[2], 0)
end
