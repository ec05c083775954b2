import { parseArgs } from 'node:util';

export const USAGE = `Usage: npm run demo [-- OPTIONS]

Starts all of Renderyard, as npm start does, renders examples/prompts.csv, and makes a page of the images.

  --exit    stop when the batch has ended; the exit code is 0 only if every accepted row succeeded
  --yes     spend credits without asking, where SEGMIND_API_KEY or SEGMIND_API_KEY_FILE is set
  --help    print this
`;

/** How the demo is to run. */
export interface DemoArguments {
  /** End when the batch does. */
  readonly exit: boolean;
  /** Credits may be spent. */
  readonly yes: boolean;
  readonly help: boolean;
}

/** @throws {TypeError} for what the demo does not know; the message names it. */
export function parseDemoArguments(args: readonly string[]): DemoArguments {
  const { values } = parseArgs({
    args: [...args],
    options: { exit: { type: 'boolean' }, yes: { type: 'boolean', short: 'y' }, help: { type: 'boolean', short: 'h' } },
  });
  const { exit = false, yes = false, help = false } = values;
  return { exit, yes, help };
}
