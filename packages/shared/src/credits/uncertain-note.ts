/** Where the note of an uncertain call lies in the store: its entry in the ledger, as JSON. It is replaced as the entry changes. */
export const uncertainPrefix = 'uncertain/';
export const uncertainKey = (call: string) => `${uncertainPrefix}${call}.json`;

/** The call that a note's key names. */
export function callOfNote(key: string): string | undefined {
  return /^uncertain\/(call_[0-9a-z]{26})\.json$/.exec(key)?.[1];
}
