import { appendFileSync } from 'node:fs';
import { startGuarded } from '@renderyard/standalone/guarded-process';

/** Starts a process that does not want to end, with a child; writes both pids into the file `PIDS`. */
let lines = 0;
startGuarded({
  command: '/bin/sh',
  args: ['-c', `trap '' TERM; sleep 1000 & echo $!; echo $$; while :; do wait; sleep 0.1; done`],
  env: { PATH: process.env.PATH },
  orphanMs: 300,
  onLine: (line) => {
    appendFileSync(process.env.PIDS ?? '', `${line}\n`);
    lines += 1;
    if (lines === 2) process.send?.({ ready: true });
  },
});
