import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { REPOSITORY } from '../support/cache-folder.ts';

const read = (path: string) => readFileSync(join(REPOSITORY, path), 'utf8');
const page = read('docs/operations.md');

interface Rule {
  readonly alert: string;
  readonly annotations: { readonly runbook_url: string };
}

const rules = (parse(read('deploy/prometheus/alerts.yml')) as { groups: readonly { rules: readonly Rule[] }[] }).groups
  .flatMap((group) => group.rules)
  .sort((a, b) => a.alert.localeCompare(b.alert));

/** The sections below “Alerts”: their headings, each with the name that its text begins with. */
const sections = [...(page.split('\n## Alerts\n')[1] ?? '').matchAll(/^### (.+)\n\n`(\w+)`/gm)]
  .map(([, heading = '', alert = '']) => ({ heading, alert }))
  .sort((a, b) => a.alert.localeCompare(b.alert));

test('every alert has a section of its own, and no other has', () => {
  expect(rules.length).toBeGreaterThan(15);
  expect(sections.map(({ alert }) => alert)).toEqual(rules.map(({ alert }) => alert));
});

test('every alert leads to its section', () => {
  expect(rules.map(({ annotations }) => annotations.runbook_url)).toEqual(
    sections.map(({ heading }) => `docs/operations.md#${heading.toLowerCase().replaceAll(' ', '-')}`),
  );
});

/** What is told to people: sentences in code spans, in pieces where something stands for what varies. */
const told = [...page.replace(/```[\s\S]*?```/g, '').matchAll(/`([^`]+)`/g)]
  .map(([, span = '']) => span.replace(/\s+/g, ' '))
  .filter((span) => /^[\w ]+ [\w ]+ [\w ]+/.test(span) && !/^(GET|POST|PATCH|DELETE) /.test(span))
  .flatMap((span) => span.split('…').map((piece) => piece.trim()))
  .filter((piece) => piece.split(' ').length > 2);

test('what the page quotes is what the code says', () => {
  const files = execFileSync('git', ['ls-files', 'packages', 'services'], { cwd: REPOSITORY, encoding: 'utf8' });
  const sources = files.split('\n').filter((file) => /\/src\/.+\.(ts|lua)$/.test(file));
  const code = sources.map(read).join('\n').replace(/\\'/g, "'").replace(/\s+/g, ' ');
  expect(told.length).toBeGreaterThan(40);
  expect(told.filter((piece) => !code.includes(piece))).toEqual([]);
});
