import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { REPOSITORY } from '../support/cache-folder.ts';
import { findPrometheus, promtool, startPrometheus } from '../support/prometheus.ts';

const FOLDER = join(REPOSITORY, 'deploy/prometheus');
const ALERTS = join(FOLDER, 'alerts.yml');
const DOWNLOAD_MS = 120_000;
const SEVERITIES = ['critical', 'warning', 'info'];

test(
  'the configuration and the rules are what Prometheus takes, and the rules do what their tests say',
  async (context) => {
    const found = await findPrometheus();
    if ('missing' in found) return context.skip(found.missing);
    const { programs } = found;
    expect(
      await promtool(programs, ['check', 'config', '--lint=all', '--lint-fatal', join(FOLDER, 'prometheus.yml')]),
    ).toContain('1 rule files found');
    expect(await promtool(programs, ['check', 'rules', '--lint=all', '--lint-fatal', ALERTS])).toContain('SUCCESS');
    expect(await promtool(programs, ['test', 'rules', join(FOLDER, 'alerts.test.yml')])).toContain('SUCCESS');
  },
  DOWNLOAD_MS,
);

test(
  'each alert says how grave it is, what is the matter and where it stands what to do, and has a test',
  async (context) => {
    const found = await findPrometheus();
    if ('missing' in found) return context.skip(found.missing);
    const rules = await readFile(ALERTS, 'utf8');
    const tests = await readFile(join(FOLDER, 'alerts.test.yml'), 'utf8');
    const headings = (await readFile(join(REPOSITORY, 'docs/operations.md'), 'utf8')).match(/(?<=^#+ ).+$/gm) ?? [];
    const anchors = headings.map((heading) => heading.toLowerCase().replaceAll(' ', '-'));
    await using prometheus = await startPrometheus({ ...found, config: '', rules });
    const read = await prometheus.rules();
    expect(read.length).toBeGreaterThanOrEqual(21);
    for (const { name, labels, annotations } of read) {
      const anchor = name.replaceAll(/(?<!^)[A-Z]/g, (letter) => `-${letter}`).toLowerCase();
      expect(SEVERITIES).toContain(labels.severity);
      expect(Object.keys(annotations).sort()).toEqual(['description', 'runbook_url', 'summary']);
      expect(annotations.runbook_url).toBe(`docs/operations.md#${anchor}`);
      expect(anchors).toContain(anchor);
      expect(tests, `a test in which ${name} fires`).toMatch(
        new RegExp(`alertname: ${name}\n +exp_alerts:\n +- exp_labels`),
      );
    }
  },
  DOWNLOAD_MS,
);
