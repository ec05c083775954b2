import { draw } from './draw.ts';
import type { FaultEffect, FaultRule } from './fault-rules.ts';
import { createPromptCounter, type PromptCounter } from './prompt-counter.ts';
import type { Endpoint } from './records.ts';

/** What a rule may look at. */
export interface FaultSubject {
  readonly endpoint: Endpoint;
  readonly slug?: string;
  readonly prompt?: string;
  /** The how-manieth call of its endpoint, from 1. */
  readonly ordinal: number;
  /** The how-manieth call with this prompt, from 1. */
  readonly turn: number;
}

export interface PickedFault {
  readonly rule: string;
  readonly effect: FaultEffect;
}

/** Rules that can be in force at a time; the oldest goes when there are more. */
const MOST_RULES = 10_000;

interface Entry {
  readonly id: string;
  readonly rule: FaultRule;
  readonly prompts: ReadonlySet<string> | undefined;
  readonly pattern: RegExp | undefined;
  readonly ordinals: ReadonlySet<number> | undefined;
  readonly usedBy: PromptCounter;
  used: number;
}

function matches(
  { rule, prompts, pattern, ordinals }: Entry,
  subject: FaultSubject,
  seed: number,
  id: string,
): boolean {
  const match = rule.match ?? {};
  const { prompt = '' } = subject;
  return (
    (match.endpoint ?? 'render') === subject.endpoint &&
    (match.slug === undefined || match.slug === subject.slug) &&
    (prompts === undefined || prompts.has(prompt)) &&
    (match.prompt_contains === undefined || prompt.includes(match.prompt_contains)) &&
    (pattern === undefined || pattern.test(prompt)) &&
    (ordinals === undefined || ordinals.has(subject.ordinal)) &&
    (match.probability === undefined || draw(seed, 'fault', id, prompt, subject.turn) < match.probability)
  );
}

/** The rules in force. The first that matches and is not used up is the one that counts. */
export function createFaultBook(options: { readonly seed: number; readonly rules: readonly FaultRule[] }) {
  let entries: Entry[] = [];
  let named = 0;

  /** The numbers go on, so that runs with the same rules draw the same; `taken` are ids that others have. */
  const nextId = (taken: ReadonlySet<string | undefined>): string => {
    do named += 1;
    while (taken.has(`fault-${named}`));
    return `fault-${named}`;
  };

  const addAs = (id: string, rule: FaultRule) => {
    const { prompt, prompt_matches, ordinals } = rule.match ?? {};
    const entry: Entry = {
      id,
      rule,
      prompts: prompt === undefined ? undefined : new Set(typeof prompt === 'string' ? [prompt] : prompt),
      pattern: prompt_matches === undefined ? undefined : new RegExp(prompt_matches, 'u'),
      ordinals: ordinals === undefined ? undefined : new Set(ordinals),
      usedBy: createPromptCounter(),
      used: 0,
    };
    entries = [...entries.filter((other) => other.id !== id), entry].slice(-MOST_RULES);
  };

  const add = (rules: readonly FaultRule[]): string[] => {
    const given = new Set([...rules, ...entries].map(({ id }) => id));
    const ids = rules.map(({ id }) => id ?? nextId(given));
    for (const [i, rule] of rules.entries()) addAs(ids[i] ?? '', rule);
    return ids;
  };
  add(options.rules);

  const take = (entry: Entry, prompt: string): boolean => {
    const { times, per_prompt } = entry.rule;
    const used = per_prompt === true ? entry.usedBy.count(prompt) : entry.used;
    if (times !== undefined && used >= times) return false;
    entry.used += 1;
    if (per_prompt === true) entry.usedBy.add(prompt);
    return true;
  };

  return {
    /**
     * Adds rules after the others; one with an id that an earlier rule has takes that one's place. Returns their ids: a rule
     * without gets one that no other has.
     */
    add,
    /** Takes a rule out, or all of them. Returns how many there were. */
    remove: (id?: string): number => {
      const before = entries.length;
      entries = id === undefined ? [] : entries.filter((entry) => entry.id !== id);
      return before - entries.length;
    },
    list: () => entries.map(({ id, rule, used }) => ({ ...rule, id, used })),
    /** The fault that befalls this call, if any; it counts as used. */
    pick: (subject: FaultSubject): PickedFault | undefined => {
      for (const entry of entries) {
        if (matches(entry, subject, options.seed, entry.id) && take(entry, subject.prompt ?? ''))
          return { rule: entry.id, effect: entry.rule.effect };
      }
      return undefined;
    },
  };
}

export type FaultBook = ReturnType<typeof createFaultBook>;
