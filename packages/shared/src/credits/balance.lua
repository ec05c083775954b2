-- The one rule for readings of the balance. Answers arrive in any order, and other programs spend from the same
-- account, so a reading says what was left at some moment of the past. It may raise the balance only if it is quiet:
-- nothing was settled between its request's start and its arrival; and then it is exact. Otherwise the lower of the two counts. What this
-- takes too much off is given back by the next quiet reading, which is asked for before work is held.
--   balance  nanocredits that we believe to be left, net of all that was settled; nil when none was ever read
--   reading  nanocredits that the upstream reported
--   exact    whether nothing was settled in between, and the reading is one to be believed
local function balance_after(balance, reading, exact)
  if balance == nil or exact then return reading end
  return math.min(balance, reading)
end
