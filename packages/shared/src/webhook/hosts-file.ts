import { readFile } from 'node:fs/promises';

/** Addresses that this machine gives a name by itself (hosts(5)), read anew each time. */
export async function readHostsFile(host: string, path = '/etc/hosts'): Promise<readonly string[]> {
  // Where there is none, nothing is known.
  const text = await readFile(path, 'utf8').catch(() => '');
  const name = host.toLowerCase().replace(/\.$/, '');
  return text.split('\n').flatMap((line) => {
    const [address, ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    return address !== undefined && names.some((each) => each.toLowerCase() === name) ? [address] : [];
  });
}
