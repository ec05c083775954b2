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
-- header is learned from pairs: what the call said, less what the last header before it had said, with nothing in
-- flight. The lowest of the last three counts, so that one top-up between the two, or one garbled header, adds nothing;
-- with fewer nothing is added, though something may be taken off. An offset that is too low only makes us ask sooner.
--   differences  nanocredits, the newest first
local PAIRS = 3
local function offset_of(differences)
  local lowest = #differences < PAIRS and 0 or differences[1]
  for i = 1, math.min(#differences, PAIRS) do lowest = math.min(lowest, differences[i]) end
  return lowest
end
