import { execFile } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type PackageSet, PackagesError, unpackDebianPackages } from '@renderyard/standalone/debian-packages';
import { findFreePort } from '@renderyard/standalone/free-port';
import { startGuarded } from '@renderyard/standalone/guarded-process';
import { PACKAGES } from './cache-folder.ts';
import { makeTemporaryFolder } from './temporary-folder.ts';

const run = promisify(execFile);
/** The programs need nothing but the C library; the rest is for its pages. */
const PROMETHEUS: PackageSet = { name: 'prometheus', packages: ['prometheus'], needs: /^$/ };
/** It starts in half a second; on a machine under load, in some. */
const READY_MS = 60_000;

/** A rule that Prometheus has read. */
interface Rule {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface Prometheus extends AsyncDisposable {
  /** Of its API and its pages. */
  readonly url: string;
  rules(): Promise<readonly Rule[]>;
  /** The labels of each series that a query has now. */
  query(expression: string): Promise<readonly Readonly<Record<string, string>>[]>;
  /** Puts other rules in the place of those it has. @throws when it does not take them. */
  replaceRules(text: string): Promise<void>;
}

/**
 * Fetches Prometheus, 19 MB, once for all runs.
 * @returns the folder of its programs, or why there is none: not every system has Debian's packages.
 */
export async function findPrometheus(): Promise<{ readonly programs: string } | { readonly missing: string }> {
  try {
    return await unpackDebianPackages({ set: PROMETHEUS, into: PACKAGES, env: process.env });
  } catch (error) {
    if (error instanceof PackagesError) return { missing: error.message };
    throw error;
  }
}

/** Runs promtool. @returns what it says. @throws {Error} with what it says, when something is wrong. */
export async function promtool(programs: string, args: readonly string[]): Promise<string> {
  try {
    const { stdout, stderr } = await run(join(programs, 'promtool'), args);
    return stdout + stderr;
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { readonly stdout?: string; readonly stderr?: string };
    throw new Error(`promtool ${args.join(' ')} finds something wrong:\n${stdout}${stderr}`, { cause: error });
  }
}

/**
 * Starts a Prometheus that keeps what it reads in a folder that goes with it. Use it with `await using`.
 * @param config without `rule_files`, which is added.
 * @param rules the text of its rules.
 */
export async function startPrometheus({
  programs,
  config,
  rules,
}: {
  readonly programs: string;
  readonly config: string;
  readonly rules: string;
}): Promise<Prometheus> {
  const folder = await makeTemporaryFolder('prometheus');
  const ruleFile = join(folder, 'rules.yml');
  const port = await findFreePort();
  const url = `http://127.0.0.1:${port}`;
  await writeFile(ruleFile, rules);
  await writeFile(join(folder, 'prometheus.yml'), `${config}\nrule_files: [rules.yml]\n`);
  const server = startGuarded({
    command: join(programs, 'prometheus'),
    args: [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--web.enable-lifecycle',
      '--log.level=warn',
    ],
    env: { PATH: process.env.PATH },
    orphanMs: 1_000,
  });
  const stop = async () => {
    await server.stop(5_000);
    await rm(folder, { recursive: true, force: true });
  };
  const ask = async <T>(path: string): Promise<T> => {
    const answer = await fetch(`${url}/api/v1/${path}`);
    const text = await answer.text();
    if (!answer.ok) throw new Error(`Prometheus answers ${answer.status} to ${path}: ${text}`);
    return (JSON.parse(text) as { readonly data: T }).data;
  };

  const deadline = performance.now() + READY_MS;
  while ((await fetch(`${url}/-/ready`).catch(() => undefined))?.status !== 200) {
    if (server.running && performance.now() < deadline) {
      await sleep(50);
      continue;
    }
    const { output } = server.running ? { output: '' } : await server.exited;
    await stop();
    throw new Error(`Prometheus was not ready within ${READY_MS / 1000} s, or ended:\n${output}`);
  }
  return {
    url,
    rules: async () =>
      (await ask<{ groups: { rules: Rule[] }[] }>('rules?type=alert')).groups.flatMap((group) => group.rules),
    query: async (expression) =>
      (
        await ask<{ result: { metric: Record<string, string> }[] }>(`query?query=${encodeURIComponent(expression)}`)
      ).result.map(({ metric }) => metric),
    async replaceRules(text) {
      await writeFile(ruleFile, text);
      const answer = await fetch(`${url}/-/reload`, { method: 'POST' });
      if (!answer.ok) throw new Error(`Prometheus does not take the rules: ${answer.status} ${await answer.text()}`);
    },
    [Symbol.asyncDispose]: stop,
  };
}
