/** What a fault must exceed in a test, where the rule's own figure would take minutes; the first stands in the rule. */
const FIGURES: Readonly<Record<string, readonly [rule: string, test: string]>> = {
  RenderyardBalanceUnknown: ['_age_seconds) > 600', '_age_seconds) > 2'],
  RenderyardCallsSlow: ['[15m]))) > 60', '[15m]))) > 1'],
  RenderyardQueueStuck: ['_age_seconds) > 600', '_age_seconds) > 1'],
  RenderyardRateSaturated: ['_age_seconds) > 60', '_age_seconds) > 1'],
  RenderyardWebhooksLate: ['_age_seconds) > 300', '_age_seconds) > 1'],
};
/** As above, but every process is beyond this figure, so that it is asked for apart. */
const MEMORY = ['> 750e6', '> 1e6'] as const;

/**
 * The rules as a test can wait for them: what must last, must last for a second.
 * @param figures whether thresholds in seconds are lowered, too: then all is well only where nothing waits.
 * @param memory whether any memory is much.
 * @throws {Error} when a rule has no longer the figure that is to be replaced.
 */
export function shortenRules(
  text: string,
  { figures, memory }: { readonly figures: boolean; readonly memory: boolean },
): string {
  return text
    .split(/(?=^ {6}- alert: )/m)
    .map((block) => {
      const name = /- alert: (\w+)/.exec(block)?.[1] ?? '';
      const [figure, shorter] = (figures ? FIGURES[name] : undefined) ?? ['', ''];
      if (!block.includes(figure)) throw new Error(`${name} has no figure ${JSON.stringify(figure)} to be replaced.`);
      const shortened = figure === '' ? block : block.replaceAll(figure, shorter);
      return memory ? shortened.replace(...MEMORY) : shortened;
    })
    .join('')
    .replaceAll(/^( {8}for: )\d+m$/gm, '$11s');
}
