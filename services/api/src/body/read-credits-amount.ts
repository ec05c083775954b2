import { type Nanocredits, nanocredits, parseCredits } from '@renderyard/shared/credits/amount';

/** Credits; the most that a request may name. */
export const MOST_CREDITS = 999_999;
/** What amounts of credits have to be, for messages; the smallest one stands before it. */
export const CREDITS_RANGE = `${MOST_CREDITS.toLocaleString('en-US')} with at most 9 decimals`;

export type WrongAmount = 'wrong_type' | 'invalid_format' | 'out_of_range' | 'not_exact';

/**
 * Reads an amount of credits of a request, from 0 to {@link MOST_CREDITS}. Nothing is rounded: what is finer than a
 * nanocredit is refused, for nobody could tell what is kept instead.
 * @param isText whether it comes from where there are only texts, such as a query; elsewhere it has to be a number.
 * @returns the amount, or what is wrong with it.
 */
export function readCreditsAmount(value: unknown, isText = false): Nanocredits | WrongAmount {
  const isNumber = typeof value === 'number';
  if (!isNumber && !(isText && typeof value === 'string')) return 'wrong_type';
  if (isNumber && !(value >= 0 && value <= MOST_CREDITS)) return 'out_of_range';
  const text = String(value);
  const amount = parseCredits(text, 'down');
  // A number that is no amount is too fine to be written as one.
  if (amount === undefined) return isNumber ? 'not_exact' : 'invalid_format';
  if (amount < 0 || amount > nanocredits(MOST_CREDITS)) return 'out_of_range';
  return amount === parseCredits(text, 'up') ? amount : 'not_exact';
}
