import { createInterface } from 'node:readline';

/**
 * Asks a person a question that is answered with y or n, in one line. Anything but a yes is a no, so is the end of the
 * input and the abort of the signal.
 */
export function askYesNo(
  question: string,
  streams: {
    readonly stdin: NodeJS.ReadableStream;
    readonly stdout: NodeJS.WritableStream;
    readonly signal: AbortSignal;
  },
): Promise<boolean> {
  const { stdin, stdout, signal } = streams;
  // Not as a terminal: Ctrl-C is then a signal like everywhere else.
  const lines = createInterface({ input: stdin, output: stdout, terminal: false, signal });
  return new Promise((resolve) => {
    lines.on('close', () => resolve(false));
    lines.question(`${question} [y/N] `, (answer) => {
      resolve(/^\s*y(es)?\s*$/i.test(answer));
      lines.close();
    });
  });
}
