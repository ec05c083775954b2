import { eventText, heartbeatText, retryText } from '@renderyard/api/live/event-text';
import { isAfter, isEntryId } from '@renderyard/api/live/live-entry';
import { createProgressPace } from '@renderyard/api/live/progress-pace';
import fc from 'fast-check';
import { expect, test } from 'vitest';

test('an event is a field a line, and its data a field for each of its lines', () => {
  expect(eventText({ event: 'job.succeeded', id: '5-1', data: '{"a":1}' })).toBe(
    'event: job.succeeded\nid: 5-1\ndata: {"a":1}\n\n',
  );
  expect(eventText({ event: 'x', data: 'one\ntwo\r\nthree\rfour\n' })).toBe(
    'event: x\ndata: one\ndata: two\ndata: three\ndata: four\ndata: \n\n',
  );
  expect(retryText(2000)).toBe('retry: 2000\n\n');
  expect(heartbeatText()).toBe(': heartbeat\n\n');
  expect(heartbeatText('5-1')).toBe(': heartbeat\nid: 5-1\n\n');
});

test('no data can make an event of its own, and none of it is lost but the kind of its line breaks', () => {
  const text = fc
    .array(fc.constantFrom('a', '\n', '\r', ':', ' ', 'data: ', 'event: x', 'id: 1', '\u2028'))
    .map((all) => all.join(''));
  fc.assert(
    fc.property(text, (data) => {
      const [head, ...lines] = eventText({ event: 'e', data }).slice(0, -2).split('\n');
      expect(head).toBe('event: e');
      expect(lines.every((line) => line.startsWith('data: ') && !line.includes('\r'))).toBe(true);
      expect(lines.map((line) => line.slice(6)).join('\n')).toBe(data.replaceAll(/\r\n|\r/g, '\n'));
    }),
  );
});

test('ids of entries are compared as numbers', () => {
  expect(isAfter('10-0', '9-5')).toBe(true);
  expect(isAfter('9-10', '9-9')).toBe(true);
  expect(isAfter('9-9', '9-9')).toBe(false);
  expect(isAfter('9-9', '10-0')).toBe(false);
});

test.each(['', '5', '5-', '-5', '05-1', '5-1 ', '5-1\n', '1e3-0', '9999999999999999-0'])(
  '%j is no id of an entry',
  (id) => {
    expect(isEntryId(id)).toBe(false);
  },
);

test('a batch is told of at once, then not before the time is over, then with the latest change', () => {
  const pace = createProgressPace({ everyMs: 500 });
  pace.note('a', { id: '1-0', at: 1 }, 1000);
  expect(pace.next(1000)).toMatchObject({ batch: 'a', entry: '1-0' });
  pace.told('a', 1000);
  expect([pace.isEmpty, pace.wait(1000)]).toEqual([true, Number.POSITIVE_INFINITY]);
  pace.note('a', { id: '2-0', at: 2 }, 1100);
  pace.note('a', { id: '3-0', at: 3 }, 1200);
  pace.note('b', { id: '4-0', at: 4 }, 1300);
  expect([pace.next(1499)?.batch, pace.wait(1300)]).toEqual(['b', 0]);
  pace.told('b', 1300);
  expect([pace.next(1499), pace.wait(1499)]).toEqual([undefined, 1]);
  expect(pace.next(1500)).toMatchObject({ batch: 'a', entry: '3-0', at: 3 });
});
