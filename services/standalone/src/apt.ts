import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
/** A whole `apt-get update` over a slow line. */
const TIMEOUT_MS = 180_000;

/** One package as apt would install it. */
export interface PlannedPackage {
  readonly name: string;
  readonly version: string;
}

/** Debian's package tool, with a state of its own: it reads the machine's sources and changes nothing of the machine. */
export interface Apt {
  /** Fetches the lists of packages. Sources that cannot be reached are left out, as apt does it. */
  update(): Promise<void>;
  /** What is to be unpacked for these packages to run here; what the machine already has is left out. */
  plan(packages: readonly string[]): Promise<readonly PlannedPackage[]>;
  /** Downloads the packages, checked against the signed lists, into a folder. */
  download(packages: readonly PlannedPackage[], into: string): Promise<void>;
}

/** Thrown when apt fails. The message is apt's own, shortened. */
export class AptError extends Error {
  override readonly name = 'AptError';
}

/**
 * @param folder an empty folder for apt's state.
 * @param lists `machine`: the lists that the machine has, which on a bare one are empty or out of date;
 *   `own`: lists in `folder`, to be fetched by `update`.
 */
export async function createApt(options: {
  readonly folder: string;
  readonly lists: 'machine' | 'own';
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal?: AbortSignal;
}): Promise<Apt> {
  const { folder, lists, env, signal } = options;
  const config = join(folder, 'apt.conf');
  const own = (name: string) => join(folder, name);
  await mkdir(own('cache/archives/partial'), { recursive: true });
  await mkdir(own('lists/partial'), { recursive: true });
  // Read after the machine's own configuration (proxies, for one), which it adds to. The hooks are cleared because
  // some of them empty the machine's caches; Sandbox: apt's user could not write into our folder.
  await writeFile(
    config,
    `#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
${lists === 'own' ? `Dir::State "${folder}";\nDir::State::lists "${own('lists')}";\n` : ''}Dir::Cache "${own('cache')}";
Dir::Log "${folder}";
Debug::NoLocking "true";
APT::Sandbox::User "root";
APT::Get::List-Cleanup "false";
Acquire::Languages "none";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::Retries "2";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
`,
  );

  const apt = async (args: readonly string[], cwd = folder) => {
    try {
      const done = await run('apt-get', ['-c', config, '-q', ...args], {
        cwd,
        env: { ...env, LC_ALL: 'C' },
        timeout: TIMEOUT_MS,
        signal,
        maxBuffer: 16 * 1024 * 1024,
      });
      return done.stdout;
    } catch (error) {
      const {
        stdout = '',
        stderr = '',
        killed = false,
      } = error as { stdout?: string; stderr?: string; killed?: boolean };
      const said = `${stdout}\n${stderr}`.split('\n').filter((line) => /^(E:|Err:| {2}(?!\d))|Depends:/.test(line));
      throw new AptError(
        `apt-get ${args.find((arg) => !arg.startsWith('-'))} ${killed ? `took longer than ${TIMEOUT_MS / 1000} s` : 'failed'}: ${said.slice(-4).join(' ').slice(0, 600) || String(error).slice(0, 300)}`,
      );
    }
  };

  return {
    update: async () => {
      await apt(['update']);
    },
    plan: async (packages) => {
      // --reinstall, so that a package that the machine has, but that is not on the PATH, is planned as well.
      const said = await apt(['install', '--simulate', '--no-install-recommends', '--reinstall', ...packages]);
      const planned = said.matchAll(/^Inst (\S+) (?:\[[^\]]*\] )?\((\S+) /gm);
      return [...planned].map(([, name = '', version = '']) => ({ name, version }));
    },
    download: async (packages, into) => {
      await apt(['download', ...packages.map(({ name, version }) => `${name}=${version}`)], into);
    },
  };
}
