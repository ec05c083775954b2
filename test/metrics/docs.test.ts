import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startInstallation } from '../support/installation.ts';
import { type Scrape, scrape } from './exposition.ts';
import { WATCHED, watchersUrl } from './watched.ts';

const docs = await readFile(join(import.meta.dirname, '../../docs/metrics.md'), 'utf8');
const [ofInstallation = '', ofProcess = ''] = docs.split('\n## Of each process\n');
const ROW = /^\| `(renderyard_\w+)` \|.*$/gm;

interface Row {
  readonly name: string;
  readonly type: string;
  readonly labels: readonly string[];
  /** `R`, `both`, `API`, `worker`, or nothing. */
  readonly note: string;
  readonly text: string;
}

const rowsOf = (part: string): readonly Row[] =>
  [...part.matchAll(ROW)].map(([line, name = '']) => {
    const [, , type = '', labels = '', note = '', text = ''] = line.split('|').map((cell) => cell.trim());
    return { name, type, note, text, labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label = '']) => label).sort() };
  });

test('docs/metrics.md lists what an API and a worker tell, with type and labels, and nothing else', async () => {
  await using yard = await startInstallation({ simulator: { latencyMs: 10 }, env: { ...WATCHED } });
  await yard.ended(await yard.submit(['one']));
  const [api, worker] = await Promise.all(
    [yard.api, ...yard.workers].map(async (one) => scrape(await watchersUrl(one))),
  );
  if (api === undefined || worker === undefined) throw new Error('no scrape');

  const installation = rowsOf(ofInstallation);
  const processes = rowsOf(ofProcess);
  expect(installation.length).toBeGreaterThan(25);
  for (const [told, own] of [
    [api, 'API'],
    [worker, 'worker'],
  ] as const) {
    const documented = [...installation, ...processes.filter(({ note }) => note === 'both' || note === own)];
    const types = [...told.types].filter(([name]) => name.startsWith('renderyard_'));
    expect(documented.map(({ name, type }) => [name, type]).sort()).toEqual(types.sort());
    for (const { name, labels } of documented)
      if (told.labels.has(name)) expect([name, told.labels.get(name)]).toEqual([name, labels]);
  }
  expectValuesDocumented(installation, api);
  expectValuesDocumented(processes, api);
  expectValuesDocumented(processes, worker);
}, 60_000);

/** Of labels whose values are words that the page lists. */
function expectValuesDocumented(rows: readonly Row[], told: Scrape): void {
  for (const { name, labels, text, type } of rows)
    for (const label of labels) {
      if (['model', 'route', 'method', 'version', 'service'].includes(label)) continue;
      // Of calls another page has them, and of requests RFC 9110.
      if (name.startsWith('renderyard_call') || name.startsWith('renderyard_http')) continue;
      const documented = name === 'renderyard_hold_age_seconds' || /attempt_duration/.test(name) ? docs : text;
      for (const value of told.valuesOf(type === 'histogram' ? `${name}_count` : name, label))
        expect(documented, `${name} has ${label}="${value}"`).toContain(`\`${value}\``);
    }
}
