import type { Environment } from '@renderyard/shared/settings';
import { createLogUpdate } from 'log-update';
import { createTerminal, type Terminal } from '../terminal.ts';

/** A terminal of which the last lines can be drawn again. */
export interface LiveTerminal extends Terminal {
  /** Whether `show` draws: not into files and pipes, nor where `NO_COLOR`, `CI` or a dumb terminal ask for plain lines. */
  readonly live: boolean;
  /** Columns. */
  readonly width: number;
  /** Draws lines below all that was said, in place of those it drew before. */
  show(lines: string): void;
  /** Takes away what was drawn. */
  clear(): void;
}

type Streams = Pick<NodeJS.Process, 'stdout' | 'stderr'>;

/** Keeps what is said and what is drawn apart, whichever of the two streams a line goes to. */
export function createLiveTerminal(streams: Streams, env: Environment): LiveTerminal {
  const { stdout } = streams;
  const asksForPlain = Boolean(env.NO_COLOR) || Boolean(env.CI) || env.TERM === 'dumb';
  const live = stdout.isTTY === true && !asksForPlain;
  const plain = createTerminal(streams);
  // The cursor stays visible: a process that is killed could not show it again.
  const draw = live ? createLogUpdate(stdout, { showCursor: true }) : undefined;
  let shown: string | undefined;
  const above = (write: (text: string) => void) => (text: string) => {
    if (shown === undefined || draw === undefined) return write(text);
    draw.clear();
    write(text);
    draw(shown);
  };
  return {
    live,
    get width() {
      return stdout.columns ?? 80;
    },
    say: above(plain.say),
    warn: above(plain.warn),
    show: (lines) => {
      if (draw === undefined) return;
      shown = lines;
      draw(lines);
    },
    clear: () => {
      draw?.clear();
      shown = undefined;
    },
  };
}
