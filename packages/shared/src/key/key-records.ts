import { isId } from '../ids.ts';
import type { Logger } from '../logger.ts';
import type { Store } from '../store/store.ts';
import {
  type KeyRecord,
  type KeyRevocation,
  keyRecordKey,
  keyRevocationKey,
  keysPrefix,
  parseKeyKey,
  parseKeyRecord,
} from './key-record.ts';

/** A key, and whether it was taken back. */
export interface FoundKey {
  readonly record: KeyRecord;
  /** Undefined as long as it holds. */
  readonly revoked: KeyRevocation | undefined;
}

/** Objects read at once. */
const AT_ONCE = 16;

export type KeyRecords = ReturnType<typeof createKeyRecords>;

/** API keys as they lie in the store. Every method throws `StoreError`. */
export function createKeyRecords({ store, logger }: { readonly store: Store; readonly logger: Logger }) {
  const readText = async (key: string): Promise<string | undefined> => {
    const object = await store.get(key);
    return object === undefined ? undefined : Buffer.concat((await object.body.toArray()) as Buffer[]).toString('utf8');
  };
  const create = async (key: string, value: unknown): Promise<boolean> => {
    const options = { contentType: 'application/json', ifAbsent: true };
    return (await store.put(key, Buffer.from(`${JSON.stringify(value)}\n`), options)) === 'stored';
  };

  /** Whatever lies there is a revocation: what is damaged opens nothing. */
  async function readRevocation(id: string): Promise<KeyRevocation | undefined> {
    const text = await readText(keyRevocationKey(id));
    if (text === undefined) return undefined;
    try {
      const { at, by } = JSON.parse(text) as Partial<KeyRevocation>;
      return { at: typeof at === 'number' ? at : 0, by: typeof by === 'string' ? by : '' };
    } catch {
      return { at: 0, by: '' };
    }
  }

  const records = {
    /** Undefined where there is none, or a damaged one, of which the log tells: Redis is told of it no more. */
    async read(id: string): Promise<FoundKey | undefined> {
      if (!isId('key', id)) return undefined;
      const text = await readText(keyRecordKey(id));
      if (text === undefined) return undefined;
      const record = parseKeyRecord(text, id);
      if (record === undefined) {
        logger.error(
          { key: keyRecordKey(id) },
          'an API key is damaged in the store: bring its object back, or it holds no longer than Redis does',
        );
        return undefined;
      }
      return { record, revoked: await readRevocation(id) };
    },

    /** Whether anything lies where keys lie, also what is damaged. */
    async hasAny(): Promise<boolean> {
      for await (const _ of store.list(keysPrefix, { limit: 1 })) return true;
      return false;
    },

    /** Of all of them, the oldest first. */
    async listIds(): Promise<readonly string[]> {
      const ids = new Set<string>();
      for await (const { key } of store.list(keysPrefix)) {
        const parsed = parseKeyKey(key);
        if (parsed?.what === 'record') ids.add(parsed.id);
      }
      return [...ids].sort();
    },

    /** All of them, the oldest first. */
    async list(): Promise<readonly FoundKey[]> {
      const ids = await records.listIds();
      const found: FoundKey[] = [];
      for (let from = 0; from < ids.length; from += AT_ONCE) {
        const read = await Promise.all(ids.slice(from, from + AT_ONCE).map((id) => records.read(id)));
        found.push(...read.filter((each) => each !== undefined));
      }
      return found;
    },

    /** @returns false, with nothing written, where there is one of this id. */
    create: (record: KeyRecord): Promise<boolean> => create(keyRecordKey(record.id), record),

    /** @returns false where it was revoked before. */
    revoke: (id: string, revocation: KeyRevocation): Promise<boolean> => create(keyRevocationKey(id), revocation),
  };
  return records;
}
