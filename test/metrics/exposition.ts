/** What a scrape brought. */
export interface Scrape {
  /** Of each family that is told of, also of one without series. */
  readonly types: ReadonlyMap<string, string>;
  /** The names of each family's labels, in order; without those of histograms' own. */
  readonly labels: ReadonlyMap<string, readonly string[]>;
  /** Every series, as it is written: `name{label="value"}`. */
  readonly series: ReadonlyMap<string, number>;
  /** @returns undefined where there is no such series. Labels stand as they are written. */
  value(series: string): number | undefined;
  /** The sum over the series of a name. */
  sum(name: string): number;
  /** The values that a label has. */
  valuesOf(name: string, label: string): ReadonlySet<string>;
}

const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? (\S+)$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g;

/**
 * Reads Prometheus's text format, as https://prometheus.io/docs/instrumenting/exposition_formats has it.
 * @throws {Error} for a line that is none of it, or a series that comes twice.
 */
export function parseExposition(text: string): Scrape {
  const types = new Map<string, string>();
  const series = new Map<string, number>();
  const labels = new Map<string, readonly string[]>();
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('# HELP ')) continue;
    const type = /^# TYPE (\S+) (\S+)$/.exec(line);
    if (type !== null) {
      types.set(type[1] ?? '', type[2] ?? '');
      continue;
    }
    const match = LINE.exec(line);
    if (match === null) throw new Error(`This is no line of an exposition: ${line}`);
    const [, name = '', own = '', value = ''] = match;
    if (series.has(name + own)) throw new Error(`This series comes twice: ${name}${own}`);
    series.set(name + own, Number(value.replace('+Inf', 'Infinity')));
    const family = types.has(name) ? name : name.replace(/_(bucket|sum|count)$/, '');
    const names = [...own.matchAll(LABEL)].map(([, label = '']) => label).filter((label) => label !== 'le');
    labels.set(family, [...new Set([...(labels.get(family) ?? []), ...names])].sort());
  }
  const named = (name: string) => [...series].filter(([each]) => each === name || each.startsWith(`${name}{`));
  return {
    types,
    labels,
    series,
    value: (each) => series.get(each),
    sum: (name) => named(name).reduce((sum, [, value]) => sum + value, 0),
    valuesOf: (name, label) =>
      new Set(
        named(name).flatMap(([each]) =>
          [...each.matchAll(LABEL)].filter(([, found]) => found === label).map(([, , value = '']) => value),
        ),
      ),
  };
}

/** @throws {Error} when the answer is not one of metrics. */
export async function scrape(url: string, headers: Readonly<Record<string, string>> = {}): Promise<Scrape> {
  const answer = await fetch(new URL('/metrics', url), { headers });
  const text = await answer.text();
  if (!answer.ok || !answer.headers.get('content-type')?.startsWith('text/plain'))
    throw new Error(`No metrics, but ${answer.status}: ${text}`);
  return parseExposition(text);
}
