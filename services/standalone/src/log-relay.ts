import { join } from 'node:path';
import { type BoundedLog, createBoundedLog } from './bounded-log.ts';
import { toReadableLine } from './readable-line.ts';

/** More than this a second nobody reads; the rest is in the file. */
const LINES_PER_SECOND = 20;

/** Takes the output of the services: all of it into files, warnings and worse to the terminal as well. */
export interface LogRelay {
  /** A sink for the lines of one service. */
  of(service: string): (line: string) => void;
  /** A sink for lines that go into the file only. */
  fileOf(service: string): (line: string) => void;
  close(): void;
}

/** @param folder gets `<service>.log` and `<service>.log.1`, at most 10 MiB each. */
export function createLogRelay(folder: string, show: (line: string) => void): LogRelay {
  const files = new Map<string, BoundedLog>();
  const fileOf = (service: string) => {
    const file = files.get(service) ?? createBoundedLog({ file: join(folder, `${service}.log`) });
    files.set(service, file);
    return (line: string) => file.write(line);
  };
  return {
    fileOf,
    of: (service) => {
      const write = fileOf(service);
      let second = 0;
      let shown = 0;
      return (line) => {
        write(line);
        // Most lines are of no interest to the terminal; they are not worth parsing.
        if (/"level":[123]0\b/.test(line)) return;
        const readable = toReadableLine(service, line);
        if (readable === undefined) return;
        const now = Math.floor(performance.now() / 1_000);
        if (now !== second) {
          second = now;
          shown = 0;
        }
        shown += 1;
        if (shown <= LINES_PER_SECOND) show(readable);
        else if (shown === LINES_PER_SECOND + 1) show(`${service}: more in ${join(folder, `${service}.log`)}`);
      };
    },
    close: () => {
      for (const file of files.values()) file.close();
      files.clear();
    },
  };
}
