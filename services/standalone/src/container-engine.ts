import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { findOnPath } from './find-on-path.ts';

const run = promisify(execFile);
/** An engine that is there answers in some 50 ms; one that does not answer in this time is of no use. */
const ANSWER_MS = 3_000;

/** The path of `docker` or `podman`, if one is on the PATH and its engine answers within three seconds. */
export async function findContainerEngine(
  env: Readonly<Record<string, string | undefined>>,
): Promise<string | undefined> {
  for (const program of ['docker', 'podman']) {
    const file = await findOnPath([program], env);
    if (file === undefined) continue;
    try {
      await run(file, ['info'], { env, timeout: ANSWER_MS, killSignal: 'SIGKILL' });
      return file;
    } catch {
      // Its engine does not run.
    }
  }
  return undefined;
}
