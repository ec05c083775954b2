import { access, constants, stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

/** The first of the programs that lies on the `PATH` of this environment and may be run; its whole path. */
export async function findOnPath(
  programs: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<string | undefined> {
  const folders = (env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  for (const program of programs)
    for (const folder of folders) {
      const file = join(folder, program);
      try {
        await access(file, constants.X_OK);
        if ((await stat(file)).isFile()) return file;
      } catch {
        // Not in this folder.
      }
    }
  return undefined;
}
