import { Readable } from 'node:stream';
import { createImporter } from '@renderyard/api/batches/intake/importer';
import { systemClock } from '@renderyard/shared/clock';
import { readConfig } from '@renderyard/shared/config';
import { createLogger } from '@renderyard/shared/logger';
import { DEFAULT_MODEL } from '@renderyard/shared/model/model';
import { BATCH, openTestStore } from '../intake-bench.ts';

/** Imports one upload, tells how many rows it had, and closes nothing. `DATA_DIR` is where it works. */
const config = readConfig(process.env);
const importer = createImporter({
  config,
  signingKey: Buffer.alloc(32),
  store: openTestStore(config.DATA_DIR),
  clock: systemClock,
  logger: createLogger({ service: 'test', level: 'error' }),
});
const { rows } = await importer.import(
  { body: Readable.from([Buffer.from('prompt\na\n')]), contentType: 'text/csv', contentEncoding: undefined },
  { batch: BATCH, upload: 'u', options: () => ({ read: { on_invalid: 'skip', model: DEFAULT_MODEL }, dryRun: false }) },
  { signal: new AbortController().signal },
);
process.stdout.write(`${rows}\n`);
