import { createHash } from 'node:crypto';

/** Prompts that are counted; the one counted first is forgotten when there are more. */
const MOST_PROMPTS = 200_000;
/** Longer prompts are kept as a digest of 44 characters. */
const LONGEST_KEPT = 64;

/** Counts how often each prompt came, in bounded memory. */
export interface PromptCounter {
  count(prompt: string): number;
  /** Counts the prompt once more; returns its count. */
  add(prompt: string): number;
}

export function createPromptCounter(most = MOST_PROMPTS): PromptCounter {
  const counts = new Map<string, number>();
  const nameOf = (prompt: string) =>
    prompt.length > LONGEST_KEPT ? createHash('sha256').update(prompt, 'utf16le').digest('base64') : prompt;
  return {
    count: (prompt) => counts.get(nameOf(prompt)) ?? 0,
    add: (prompt) => {
      const name = nameOf(prompt);
      const count = (counts.get(name) ?? 0) + 1;
      counts.set(name, count);
      const oldest = counts.size > most ? counts.keys().next() : undefined;
      if (oldest?.done === false) counts.delete(oldest.value);
      return count;
    },
  };
}
