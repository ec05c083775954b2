import { isIPv6 } from 'node:net';

/**
 * Reads settings from the environment: every value is checked, and every problem is reported at once, by the name
 * of its variable. An empty variable counts as one that is not set, as it does in a shell and in compose files.
 */

/** How one variable is read: what it accepts, said in words, and what it is when it is not set. */
export interface Setting<T> {
  readonly expects: string;
  readonly fallback: T;
  /** @returns the value, or undefined when the text is not what `expects` says. */
  readonly parse: (text: string) => T | undefined;
}

/** Thrown when settings are wrong. `problems` has one sentence for each, naming the variable and what would be right. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(
      `Renderyard cannot start, ${problems.length === 1 ? 'a setting is' : 'settings are'} wrong:\n- ${problems.join('\n- ')}`,
    );
    this.problems = problems;
  }
}

export type Environment = Readonly<Record<string, string | undefined>>;
type Values<S> = { readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never };

/** @throws {SettingsError} naming every variable that is wrong. Values of variables named like secrets are not repeated. */
export function readSettings<S extends Readonly<Record<string, Setting<unknown>>>>(
  env: Environment,
  settings: S,
): Values<S> {
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, setting] of Object.entries(settings)) {
    const text = env[name]?.trim();
    if (text === undefined || text === '') {
      values[name] = setting.fallback;
      continue;
    }
    const value = setting.parse(text);
    if (value === undefined)
      problems.push(
        `${name} must be ${setting.expects}${/KEY|SECRET|URL/.test(name) ? '' : `, but is ${JSON.stringify(text.slice(0, 80))}`}.`,
      );
    else values[name] = value;
  }
  if (problems.length > 0) throw new SettingsError(problems);
  return values as Values<S>;
}

/** A whole number from `min` to `max`, both included. */
export function integer<F extends number | undefined>(min: number, max: number, fallback: F): Setting<number | F> {
  return {
    expects: `a whole number from ${min} to ${max}`,
    fallback,
    parse: (text) =>
      /^-?\d{1,15}$/.test(text) && Number(text) >= min && Number(text) <= max ? Number(text) : undefined,
  };
}

/** A decimal number from `min` to `max`, both included. */
export function decimal<F extends number | undefined>(min: number, max: number, fallback: F): Setting<number | F> {
  return {
    expects: `a number from ${min} to ${max}`,
    fallback,
    parse: (text) =>
      /^-?\d{1,15}(\.\d{1,15})?$/.test(text) && Number(text) >= min && Number(text) <= max ? Number(text) : undefined,
  };
}

/** Any text of 1 to `max` characters without control characters. */
export function text<F extends string | undefined>(fallback: F, max = 4096): Setting<string | F> {
  return {
    expects: `text of at most ${max} characters`,
    fallback,
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
    parse: (value) => (value.length <= max && !/[\u0000-\u001f\u007f]/.test(value) ? value : undefined),
  };
}

/** Where to listen: a host name or an address. An IPv6 address may stand in brackets, as in a URL; they are taken off. */
export function host(fallback: string): Setting<string> {
  const word = text(fallback, 255);
  return {
    expects: 'a host name or an IP address of at most 255 characters',
    fallback,
    parse: (value) => {
      if (!/^\[|\]$/.test(value)) return word.parse(value);
      const address = /^\[(.*)\]$/.exec(value)?.[1] ?? '';
      return isIPv6(address) ? address : undefined;
    },
  };
}

/** One of a closed list of words. */
export function oneOf<const W extends string>(words: readonly W[], fallback: W): Setting<W> {
  return { expects: `one of ${words.join(', ')}`, fallback, parse: (value) => words.find((word) => word === value) };
}

/** `true`, `false`, `1` or `0`. */
export function flag(fallback: boolean): Setting<boolean> {
  const words = new Map([
    ['true', true],
    ['1', true],
    ['false', false],
    ['0', false],
  ]);
  return { expects: 'true or false', fallback, parse: (value) => words.get(value.toLowerCase()) };
}

/** An absolute URL of one of the schemes, given as `http:` and so on. */
export function url<F extends string | undefined>(schemes: readonly string[], fallback: F): Setting<string | F> {
  return {
    expects: `a URL that begins with ${schemes.map((scheme) => `${scheme}//`).join(' or ')}`,
    fallback,
    parse: (value) =>
      URL.canParse(value) && schemes.some((scheme) => value.toLowerCase().startsWith(`${scheme}//`))
        ? value
        : undefined,
  };
}
