import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { type Simulated, simulate } from './simulate.ts';

/** As much of an element as the page's script uses. */
interface FakeElement {
  readonly children: FakeElement[];
  readonly lastChild: { remove(): void };
  /** The text of it and of everything in it. */
  readonly text: string;
  hidden: boolean;
  src: string;
  textContent: string;
  append(...more: FakeElement[]): void;
  prepend(one: FakeElement): void;
  replaceChildren(...others: FakeElement[]): void;
}

function createElement(): FakeElement {
  const children: FakeElement[] = [];
  return {
    children,
    lastChild: { remove: () => void children.pop() },
    get text() {
      return this.textContent + children.map(({ text }) => text).join(' ');
    },
    hidden: true,
    src: '',
    textContent: '',
    append: (...more) => void children.push(...more),
    prepend: (one) => void children.unshift(one),
    replaceChildren: (...others) => void children.splice(0, children.length, ...others),
  };
}

/** The page with its script running; `refresh` does what it does every two seconds. */
async function openPage({ url }: Simulated) {
  const page = await (await fetch(url)).text();
  const elements = new Map([...page.matchAll(/ id="(\w+)"/g)].map(([, id = '']) => [id, createElement()]));
  const at = (id: string) => elements.get(id) ?? createElement();
  let next = (_again: () => void) => {};
  const waited = () =>
    new Promise<() => void>((resolve) => {
      next = resolve;
    });
  let pending = waited();
  runInNewContext(/<script>(.*)<\/script>/s.exec(page)?.[1] ?? '', {
    document: { getElementById: at, createElement },
    fetch: (path: string, options: RequestInit) => fetch(`${url}${path}`, options),
    setTimeout: (again: () => void) => next(again),
    AbortSignal,
  });
  await pending;
  return {
    at,
    refresh: async () => {
      const again = await pending;
      pending = waited();
      again();
      await pending;
    },
  };
}

test('the page shows the pictures and the calls, and after a reset none from before it', async () => {
  const simulator = await simulate();
  for (let i = 1; i <= 14; i++) await simulator.render(`prompt ${i}`);
  const { at, refresh } = await openPage(simulator);
  expect(at('pictures').children).toHaveLength(12);
  expect(at('calls').children[0]?.text).toMatch(/200 whole .*prompt 14$/);
  expect(at('state').text).toMatch(/Renders 14/);
  await simulator.control.reset();
  await simulator.render('after it');
  await refresh();
  expect(at('pictures').children).toHaveLength(1);
  const image = await fetch(`${simulator.url}${at('pictures').children[0]?.src}`);
  expect(image.headers.get('content-type')).toBe('image/jpeg');
  await simulator.control.reset();
  await refresh();
  expect(at('pictures').children).toEqual([]);
});

test('the page says when the simulator does not answer', async () => {
  const simulator = await simulate();
  const { at, refresh } = await openPage(simulator);
  expect(at('dead').hidden).toBe(true);
  await simulator.close();
  await refresh();
  expect(at('dead').hidden).toBe(false);
  expect(at('state').text).toMatch(/Balance 10/);
});
