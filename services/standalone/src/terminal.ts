import { redact } from '@renderyard/shared/redact';

/** Where a person reads what happens. */
export interface Terminal {
  /** What was asked for, on standard output. */
  say(text: string): void;
  /** What should be known besides, on standard error. Secrets are taken out. */
  warn(text: string): void;
}

type Output = Pick<NodeJS.WriteStream, 'write' | 'on'>;

/** Writes to the two streams line by line. */
export function createTerminal({ stdout, stderr }: { readonly stdout: Output; readonly stderr: Output }): Terminal {
  // A terminal that was closed is told nothing more; that is no reason to die in the middle of stopping.
  for (const stream of [stdout, stderr]) stream.on('error', () => undefined);
  return {
    say: (text) => {
      stdout.write(`${text}\n`);
    },
    warn: (text) => {
      stderr.write(`${redact(text)}\n`);
    },
  };
}
