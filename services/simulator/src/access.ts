/** A change to which keys work. Keys are taken as they are sent; `*` stands for every key. */
export interface KeyChange {
  /** Only these keys work from now on; `any` lets every `SG_…` key work that is not refused. */
  readonly accept?: readonly string[] | 'any' | undefined;
  readonly refuse?: readonly string[] | undefined;
  readonly restore?: readonly string[] | undefined;
  /** The models that a key may use; null lets it use all. */
  readonly models?: Readonly<Record<string, readonly string[] | null>> | undefined;
}

/** A change to which models there are. */
export interface ModelChange {
  readonly add?: readonly string[] | undefined;
  /** Retired models answer 410. */
  readonly retire?: readonly string[] | undefined;
  readonly restore?: readonly string[] | undefined;
  /** Removed models are unknown from then on, and answer 404. */
  readonly remove?: readonly string[] | undefined;
}

/** The form of a key when any will do; Segmind's have 16 hexadecimal digits after `SG_`. */
const KEY_FORM = /^SG_[\x21-\x7e]{1,200}$/;

/** Which keys work, and for which models. */
export function createKeys(accepted: readonly string[] | undefined) {
  let listed: ReadonlySet<string> | undefined = accepted === undefined ? undefined : new Set(accepted);
  const refused = new Set<string>();
  const models = new Map<string, ReadonlySet<string>>();
  return {
    works: (key: string | undefined): boolean =>
      key !== undefined && (listed?.has(key) ?? KEY_FORM.test(key)) && !refused.has(key) && !refused.has('*'),
    allows: (key: string, slug: string): boolean => models.get(key)?.has(slug) ?? true,
    change: (change: KeyChange): void => {
      if (change.accept !== undefined) listed = change.accept === 'any' ? undefined : new Set(change.accept);
      for (const key of change.refuse ?? []) refused.add(key);
      for (const key of change.restore ?? []) {
        if (key === '*') refused.clear();
        refused.delete(key);
      }
      for (const [key, slugs] of Object.entries(change.models ?? {})) {
        if (slugs === null) models.delete(key);
        else models.set(key, new Set(slugs));
      }
    },
    /** What may be shown: how many keys, never which. */
    summary: () => ({
      accepted: listed === undefined ? ('any' as const) : listed.size,
      refused: refused.has('*') ? ('all' as const) : refused.size,
    }),
  };
}

/** Which models there are, and which are retired. */
export function createModels(known: readonly string[], retiredAtStart: readonly string[]) {
  const models = new Set(known);
  const retired = new Set(retiredAtStart);
  return {
    find: (slug: string): 'known' | 'retired' | 'unknown' =>
      retired.has(slug) ? 'retired' : models.has(slug) ? 'known' : 'unknown',
    change: (change: ModelChange): void => {
      for (const slug of change.add ?? []) models.add(slug);
      for (const slug of change.retire ?? []) retired.add(slug);
      for (const slug of change.restore ?? []) {
        retired.delete(slug);
        models.add(slug);
      }
      for (const slug of change.remove ?? []) {
        retired.delete(slug);
        models.delete(slug);
      }
    },
    known: () => [...models].filter((slug) => !retired.has(slug)),
    retired: () => [...retired],
  };
}

export type Keys = ReturnType<typeof createKeys>;
export type Models = ReturnType<typeof createModels>;
