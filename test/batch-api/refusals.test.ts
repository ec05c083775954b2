import { describe, expect, test } from 'vitest';
import { CSV, form, sharedBatchApi } from './uploading.ts';

const shared = sharedBatchApi();
const places = (json: { errors: { pointer: string; code: string }[] }) =>
  Object.fromEntries(json.errors.map(({ pointer, code }) => [pointer, code]));

describe('options', () => {
  test('everything that is wrong with the query is told at once', async () => {
    const api = shared();
    const { status, json } = await api.upload(CSV, {
      query: {
        name: 'two\nlines',
        budget: '-1',
        on_invalid: 'ignore',
        dry_run: 'yes',
        defaults: '{"steps":5,"guidance_scale":"high"}',
        key_template: 'x'.repeat(2000),
        columns: 'promt:text',
        metadata: '[]',
        model: 'sdxl',
        webhook: 'example.com',
        webhook_events_filter: 'batch.done',
        prompt_tmeplate: 'A {{id}}',
        steps: '20',
      },
    });
    expect([status, json.code]).toEqual([400, 'invalid_request']);
    expect(places(json)).toEqual({
      '?name': 'invalid_format',
      '?budget': 'out_of_range',
      '?on_invalid': 'invalid_format',
      '?dry_run': 'invalid_format',
      '?defaults': 'wrong_type',
      '?key_template': 'invalid_format',
      '?columns': 'unknown_parameter',
      '?metadata': 'wrong_type',
      '?model': 'unknown_model',
      '?webhook': 'invalid_format',
      '?webhook_events_filter': 'unknown_event_type',
      '?prompt_tmeplate': 'unknown_field',
      '?steps': 'unknown_field',
    });
    const details = json.errors.map(({ detail }: { detail: string }) => detail).join('\n');
    expect(details).toContain('Did you mean prompt_template?');
    expect(details).toContain('steps must be a whole number from 10 to 70, but is 5');
  });

  test('options beside items have their place in the body', async () => {
    const api = shared();
    const body = { items: [{ prompt: 'x' }], budget: '0.3', defaults: { steps: 5 }, metadata: 7, webhook: 'x' };
    const { status, json } = await api.upload(JSON.stringify(body), { type: 'application/json' });
    expect([status, json.code]).toEqual([400, 'invalid_request']);
    expect(places(json)).toEqual({
      '/budget': 'wrong_type',
      '/defaults/steps': 'out_of_range',
      '/metadata': 'wrong_type',
      '/webhook': 'invalid_format',
    });
  });

  test.each([
    ['999999', 999_999],
    ['0.000000001', 0.000000001],
    ['0.30', 0.3],
    ['0.3000000001', 'not_exact'],
    ['0.0000000001', 'not_exact'],
    ['0', 'out_of_range'],
    ['999999.000000001', 'out_of_range'],
  ])('a budget of %s is kept as it is given, or refused, wherever it stands', async (text, expected) => {
    const api = shared();
    const { id } = await api.make();
    const type = 'application/json';
    const [query, json, patched] = await Promise.all([
      api.upload(CSV, { query: { dry_run: 'true', budget: text } }),
      api.upload(`{"items":[{"prompt":"x"}],"dry_run":true,"budget":${text}}`, { type }),
      api.call('PATCH', `/v1/batches/${id}`, { headers: { 'content-type': type }, body: `{"budget":${text}}` }),
    ]);
    const told = ({ json }: typeof query) => (json.errors === undefined ? json.budget : places(json));
    const at = (place: string) => (typeof expected === 'number' ? expected : { [place]: expected });
    expect([query, json, patched].map(told)).toEqual([at('?budget'), at('/budget'), at('/budget')]);
  });

  test('a budget in a PATCH is a number', async () => {
    const api = shared();
    const { id } = await api.make();
    const headers = { 'content-type': 'application/json' };
    const { status, json } = await api.call('PATCH', `/v1/batches/${id}`, { headers, body: '{"budget":"0.3"}' });
    expect([status, places(json)]).toEqual([400, { '/budget': 'wrong_type' }]);
    expect(json.errors[0].detail).toBe(
      'budget must be a number of credits above 0 and at most 999,999 with at most 9 decimals, such as 12.5.',
    );
  });

  test('fields of a form have theirs, and empty ones are left out', async () => {
    const api = shared();
    const { status, json } = await api.upload(form(CSV, { budget: 'much', colour: 'red', name: '' }));
    expect([status, places(json)]).toEqual([400, { '/budget': 'invalid_format', '/colour': 'unknown_field' }]);
  });

  test('a JSON file in a form brings its own', async () => {
    const api = shared();
    const file = JSON.stringify({
      items: [{ text: 'A fox' }],
      columns: { prompt: 'text' },
      defaults: { steps: 15 },
      budget: 2,
    });
    const { json } = await api.upload(form(file, { dry_run: 'true' }, 'prompts.json'));
    expect(json).toMatchObject({ budget: 2, preview: [{ input: { prompt: 'A fox', steps: 15 } }] });
  });

  test('an option is given once, in the query or in the body', async () => {
    const api = shared();
    const both = await api.upload(form(CSV, { name: 'a' }), { query: { name: 'b' } });
    expect([both.status, places(both.json)]).toEqual([400, { '/name': 'duplicate_name' }]);
    const twice = await api.call('POST', '/v1/batches?name=a&name=b', {
      headers: { 'content-type': 'text/csv' },
      body: CSV,
    });
    expect([twice.status, places(twice.json)]).toEqual([400, { '?name': 'duplicate_name' }]);
  });

  test('columns may be pairs or an object', async () => {
    const api = shared();
    const body = 'text,look\nA fox,15\n';
    for (const columns of ['prompt:text,steps:look', '{"prompt":"text","steps":"look"}']) {
      const { json } = await api.upload(body, { query: { columns, dry_run: 'true' } });
      expect(json.preview).toMatchObject([{ input: { prompt: 'A fox', steps: 15 } }]);
    }
  });
});

describe('uploads', () => {
  test.each([
    ['text/html', CSV, 415, 'unsupported_format'],
    ['application/x-www-form-urlencoded', CSV, 415, 'unsupported_format'],
    ['text/csv', '', 400, 'empty_upload'],
    ['text/csv', 'a,b\n1,2\n', 400, 'no_prompt'],
    ['application/json', '{"items":', 400, 'invalid_json'],
    ['application/json', '{"rows":[]}', 400, 'no_items'],
    ['multipart/form-data; boundary=x', '--y--', 400, 'invalid_multipart'],
  ])('%s with %j is refused', async (type, body, status, code) => {
    const api = shared();
    const answer = await api.upload(body, { type });
    expect([answer.status, answer.json.code]).toEqual([status, code]);
  });

  test('a content type that is none is refused with those that uploads may have', async () => {
    const api = shared();
    const { status, json } = await api.upload(CSV, { type: 'text/csv, text/csv' });
    expect([status, json.code]).toEqual([415, 'unsupported_format']);
    expect(json.detail).toMatch(/"text\/csv, text\/csv" .*text\/csv, text\/tab-separated-values, .*multipart/);
  });

  test('an unknown content encoding is refused', async () => {
    const api = shared();
    const answer = await api.upload(CSV, { headers: { 'content-encoding': 'br' } });
    expect([answer.status, answer.json.code]).toEqual([415, 'unsupported_encoding']);
  });

  test('a request without a body is refused', async () => {
    const api = shared();
    const answer = await api.call('POST', '/v1/batches');
    expect([answer.status, answer.json.code]).toEqual([415, 'unsupported_format']);
  });

  test('the place of what is wrong is told', async () => {
    const api = shared();
    const { json } = await api.upload('prompt\n"never closed\n');
    expect(json).toMatchObject({ code: 'unclosed_quote', errors: [{ line: 2, code: 'unclosed_quote' }] });
  });
});

describe('rows', () => {
  const SOME = 'prompt,steps\nA fox,20\nA hen,5\n,20\n';

  test('with on_invalid=reject one bad row is enough, and the problem has the report', async () => {
    const api = shared();
    const { status, json } = await api.upload(SOME, { query: { on_invalid: 'reject' } });
    expect([status, json.code]).toEqual([422, 'rows_rejected']);
    expect(json.detail).toContain('2 of 3 rows are not valid');
    expect(json.errors).toMatchObject([
      { line: 3, column: 'steps', value: '5' },
      { line: 4, column: 'prompt' },
    ]);
    expect(json.report.rejected.errors).toEqual(json.errors);
    const dry = await api.upload(SOME, { query: { on_invalid: 'reject', dry_run: 'true' } });
    expect([dry.status, dry.json.accepted, dry.json.report]).toEqual([200, false, json.report]);
  });

  test('without a row that can be rendered there is no batch', async () => {
    const api = shared();
    const { status, json } = await api.upload('prompt,steps\nA fox,5\n');
    expect([status, json.code]).toEqual([422, 'no_rows']);
    expect(json.errors).toMatchObject([{ line: 2, column: 'steps' }]);
  });

  test('the good rows are taken without the bad ones', async () => {
    const api = shared();
    const made = await api.make(SOME);
    expect(made.counts).toMatchObject({ total: 1, rejected: 2, queued: 1 });
    expect(await api.keys(`batches/${made.id}/rejected/`)).toHaveLength(1);
  });
});

test('of all that was refused nothing is left in the store', async () => {
  const api = shared();
  const keys = await api.keys();
  const made = (await api.get('/v1/batches')).json.data.map(({ id }: { id: string }) => id);
  expect(keys.filter((key) => !made.some((id: string) => key.includes(id)))).toEqual([]);
  expect(await api.keys('uploads/')).toEqual([]);
});
