import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { GenericContainer, getContainerRuntimeClient } from 'testcontainers';
import type { TestProject } from 'vitest/node';
import { REPOSITORY } from './cache-folder.ts';
import { IN_NETWORK, within } from './containers.ts';
import type { BlackBoxPlace } from './provided.ts';

/** Installing the dependencies over a slow line, once for each change of them. */
const BUILD_MS = 600_000;

const say = (text: string) => process.stderr.write(`${text}\n`);

/** The S3 server starts with the first question; where it ended up decides whether containers can reach it. */
async function s3IsIn(network: string, endpoint: string): Promise<boolean> {
  const answer = await fetch(endpoint);
  await answer.body?.cancel();
  const engine = await getContainerRuntimeClient();
  const { Containers } = await engine.network.getById(network).inspect();
  return Object.keys(Containers ?? {}).length > 1;
}

async function choosePlace(project: TestProject): Promise<BlackBoxPlace> {
  const { network, s3 } = project.getProvidedContext();
  if (network === null) return { kind: 'local' };
  if (!existsSync(join(REPOSITORY, 'Dockerfile'))) throw new Error('There is no Dockerfile.');
  if (!(await s3IsIn(network, s3.endpoint))) throw new Error('The S3 server does not run in a container.');
  const begun = performance.now();
  const build = GenericContainer.fromDockerfile(REPOSITORY).withBuildkit();
  // Of this run alone; the engine's cache stays.
  const image = `renderyard-test/renderyard:${randomUUID()}`;
  await within(BUILD_MS, build.build(image));
  say(`The image was built in ${((performance.now() - begun) / 1000).toFixed(1)} s.`);
  return { kind: 'containers', image, network, ...IN_NETWORK };
}

/**
 * Builds the image where the run's servers are containers, and tells the black-box suite where to run Renderyard.
 * Without `TEST_SERVERS=containers` an image that cannot be built means local processes.
 */
export async function setup(project: TestProject): Promise<void> {
  const place = await choosePlace(project).catch((error: unknown): BlackBoxPlace => {
    if (process.env.TEST_SERVERS === 'containers') throw error;
    say(`The black-box suite runs against local processes: ${String(error).slice(0, 300)}`);
    return { kind: 'local' };
  });
  project.provide('blackBox', place);
}
