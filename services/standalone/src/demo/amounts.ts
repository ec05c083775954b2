/** Credits for people: four decimals at most, and at least what tells a small amount from nothing. */
export function formatCredits(credits: number): string {
  const digits = credits !== 0 && Math.abs(credits) < 0.001 ? 6 : 4;
  return `${Number(credits.toFixed(digits))} ${credits === 1 ? 'credit' : 'credits'}`;
}

/** A span of time for people: `45 s`, `3 min 20 s`, `2 h 5 min`. */
export function formatSeconds(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const [minutes, hours] = [Math.floor(whole / 60), Math.floor(whole / 3600)];
  if (hours === 0) return whole % 60 === 0 ? `${minutes} min` : `${minutes} min ${whole % 60} s`;
  return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
}

/** `1 row`, `2 rows`. */
export function count(amount: number, what: string): string {
  return `${amount} ${what}${amount === 1 ? '' : 's'}`;
}
