/**
 * How many rows a second an upload of CSV is imported into a directory store, beside csv-parse alone in the same
 * process, with the peak memory of all of it and how late timers of the main thread were meanwhile.
 *
 *     node benchmarks/import.ts [rows]
 */
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { pipeline } from 'node:stream/promises';
import { CSV_OPTIONS } from '@renderyard/api/batches/intake/csv-source';
import { createImporter } from '@renderyard/api/batches/intake/importer';
import { systemClock } from '@renderyard/shared/clock';
import { readConfig } from '@renderyard/shared/config';
import { createLogger } from '@renderyard/shared/logger';
import { DEFAULT_MODEL } from '@renderyard/shared/model/model';
import { openStore } from '@renderyard/shared/store/open-store';
import { parse } from 'csv-parse';

const rows = Number(process.argv[2] ?? 1_000_000);
const STYLES = ['oil on canvas', 'watercolour', 'a "quick" pencil sketch', 'photograph, 35 mm', 'linocut; two colours'];
const THINGS = ['lighthouse', 'old harbour', 'Fjällräven fox', 'street in 東京', 'robot', 'field of tulips', 'cat 🐈'];
const LIGHTS = ['at dusk', 'in the fog', 'under a full moon', 'at noon,\nwith long shadows', 'in soft light'];

const quoted = (text: string) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

/** The same rows every time, of about 170 bytes. */
function* lines(): Generator<string> {
  yield 'id,prompt,style,seed,steps,width,height,note\n';
  for (let n = 1; n <= rows; n++) {
    const pick = (from: readonly string[], by: number) => from[(n * by) % from.length] ?? '';
    const prompt = `A ${pick(THINGS, 3)} and a ${pick(THINGS, 5)} ${pick(LIGHTS, 7)}, number ${n}, highly detailed`;
    const seed = n % 10 === 0 ? 'random' : String((n * 7919) % 2_147_483_647);
    const cells = [`item-${n}`, prompt, pick(STYLES, 11), seed, String(20 + (n % 20)), '1024', n % 3 ? '1024' : '768'];
    yield `${[...cells, `kept as it is, ${n % 1000} of shelf ${n % 37} in the archive`].map(quoted).join(',')}\n`;
  }
}

async function parseAlone(path: string): Promise<number> {
  const startedAt = performance.now();
  const parser = createReadStream(path).pipe(parse({ ...CSV_OPTIONS, delimiter: ',' }));
  let records = 0;
  parser.on('data', () => records++);
  await once(parser, 'end');
  if (records !== rows + 1) throw new Error(`csv-parse found ${records} records.`);
  return rows / ((performance.now() - startedAt) / 1000);
}

async function importFile(path: string, dataDir: string): Promise<number> {
  const config = readConfig({ DATA_DIR: dataDir, MAX_ROWS: String(rows) });
  const signingKey = Buffer.alloc(32);
  const store = openStore({ ...config, publicUrl: config.PUBLIC_URL, signingKey });
  const logger = createLogger({ service: 'benchmark', level: 'warn' });
  const importer = createImporter({ config, signingKey, store, clock: systemClock, logger });
  const read = { on_invalid: 'skip', model: DEFAULT_MODEL } as const;
  try {
    const startedAt = performance.now();
    const result = await importer.import(
      { body: createReadStream(path), contentType: 'text/csv', contentEncoding: undefined },
      { batch: 'bat_00000000000000000000000000', upload: 'benchmark', options: () => ({ read, dryRun: false }) },
      { signal: new AbortController().signal },
    );
    const seconds = (performance.now() - startedAt) / 1000;
    if (result.rows !== rows) throw new Error(`${result.rows} rows were accepted: ${JSON.stringify(result.report)}`);
    return rows / seconds;
  } finally {
    await importer.close();
    await store.close();
  }
}

const folder = await mkdtemp(join(tmpdir(), 'renderyard-benchmark-'));
try {
  const path = join(folder, 'rows.csv');
  await pipeline(lines, createWriteStream(path));
  console.log(`${rows} rows of CSV, ${((await stat(path)).size / 1e6).toFixed(0)} MB`);
  const alone = await parseAlone(path);
  console.log(`csv-parse alone: ${alone.toFixed(0)} rows/s, ${peakMib()} MiB peak RSS so far`);
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  const imported = await importFile(path, join(folder, 'data'));
  delay.disable();
  console.log(`import: ${imported.toFixed(0)} rows/s, ${(imported / alone).toFixed(2)} of csv-parse alone`);
  console.log(
    `${peakMib()} MiB peak RSS; timers of the main thread late by ${(delay.percentile(99) / 1e6).toFixed(1)} ms (p99)`,
  );
} finally {
  await rm(folder, { recursive: true });
}

function peakMib(): string {
  return (process.resourceUsage().maxRSS / 1024).toFixed(0);
}
