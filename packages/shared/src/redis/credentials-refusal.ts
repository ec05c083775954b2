/** Redis's codes for a user or password that it does not take, or whose rights are too few. */
const CODES = ['NOAUTH', 'WRONGPASS', 'NOPERM'] as const;

/** @returns Redis's code, wherever in the message it stands: a cluster's connection puts words of its own before it. */
export function credentialsRefusal(error: unknown): (typeof CODES)[number] | undefined {
  if (!(error instanceof Error)) return undefined;
  return CODES.find((code) => new RegExp(`\\b${code}\\b`).test(error.message));
}

/** Whether Redis was reached, and does not take the user or the password that it was given. */
export function isCredentialsRefusal(error: unknown): boolean {
  return credentialsRefusal(error) !== undefined;
}
