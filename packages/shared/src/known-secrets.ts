/** Texts that must never be read anywhere, whatever they look like. More may become known while a process runs. */
export interface KnownSecrets {
  /** One of fewer than 6 characters is passed over: it cannot be told from a word. */
  add(secret: string | undefined): void;
  /** The text with every secret replaced. */
  hide(text: string): string;
  /** The same for a text that is JSON, where quotes and backslashes of a secret are written otherwise. */
  hideInJson(json: string): string;
}

/** Characters of the shortest secret that is looked for. */
const SHORTEST = 6;

export function createKnownSecrets(first: readonly (string | undefined)[] = []): KnownSecrets {
  const known = new Set<string>();
  // The longest first, so that of one that holds another nothing is left over.
  let plain: readonly string[] = [];
  let inJson: readonly string[] = [];

  const add = (secret: string | undefined) => {
    if (secret === undefined || secret.length < SHORTEST || known.has(secret)) return;
    known.add(secret);
    plain = [...known].sort((a, b) => b.length - a.length);
    inJson = plain.map((text) => JSON.stringify(text).slice(1, -1));
  };
  for (const secret of first) add(secret);

  const replace = (text: string, secrets: readonly string[]) =>
    secrets.reduce((cleaned, secret) => cleaned.replaceAll(secret, '[redacted]'), text);
  return { add, hide: (text) => replace(text, plain), hideInJson: (json) => replace(json, inJson) };
}
