/** The list of modules: each row is whole, and what is made from the descriptions fits the functions. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LuaFunction } from 'fengari';
import type { ApiFunction, Chapter } from '../../src/modules/entry.ts';
import type { FunctionsOf, ServicesOf } from '../../src/modules/module.ts';
import { FAKES, MODULES } from '../../src/modules/modules.ts';
import {
  loadPackages,
  mayReadMessage,
  messageUsesOf,
  PURE_FUNCTIONS,
  wantsOf,
} from '../../src/modules/uses.ts';
import { isAsked } from '../../src/services/asked.ts';
import { servicesWith } from '../helpers/services.ts';

const functionsIn = (api: readonly Chapter[]): ApiFunction[] =>
  api.flatMap(({ entries }) => entries.flatMap((entry) => (entry.kind === 'function' ? [entry] : [])));
const DESCRIBED = MODULES.flatMap(({ api }) => functionsIn(api));
const NAMES = new Set(DESCRIBED.flatMap(({ name, aliases = [] }) => [name, ...aliases]));
const FIELDS = new Set(
  MODULES.flatMap(({ api }) =>
    api.flatMap(({ entries }) => entries.flatMap((entry) => (entry.kind === 'field' ? [entry.name] : []))),
  ),
);

/** What waits for the clock, or for a file of this machine, and asks nobody. */
const LOCAL = ['smtp.delay', 'map.open'];

test('each module opens the functions that it describes, and no others', () => {
  for (const { api, open } of MODULES) {
    const described = functionsIn(api).map(({ name }) => name.slice(name.indexOf('.') + 1));
    assert.deepEqual(Object.keys(open(servicesWith())).sort(), described.sort());
  }
});

test('packages are named by functions and fields that there are', () => {
  for (const { packages = [] } of MODULES) {
    for (const { for: functions } of packages)
      for (const name of functions) assert.ok(NAMES.has(name) || FIELDS.has(name), name);
  }
});

test('every service that is asked for answers has one fake', () => {
  const asked = Object.keys(servicesWith()).filter((name) =>
    isAsked(name as keyof ReturnType<typeof servicesWith>),
  );
  const faked = FAKES.map(({ service }) => service).filter(isAsked);
  assert.deepEqual(faked.sort(), asked.sort());
});

test('a fake has the functions that it describes', () => {
  for (const { api, functions } of FAKES) {
    assert.deepEqual(api.map(({ name }) => name.replace('test.', '')).sort(), Object.keys(functions).sort());
  }
});

test('what waits says so: it takes a time-out last, or in its options', () => {
  for (const { name, waits, params } of DESCRIBED) {
    if (!waits || LOCAL.includes(name)) continue;
    const last = params.at(-1)?.name ?? '';
    assert.ok(['timeout', 'options', 'opts'].includes(last), `${name}: ${last}`);
  }
});

test('no function that asks somebody is pure', () => {
  assert.ok(PURE_FUNCTIONS.includes('must') && PURE_FUNCTIONS.includes('net.networks:has'));
  for (const { name, waits } of DESCRIBED) {
    if (waits && !LOCAL.includes(name)) assert.ok(!PURE_FUNCTIONS.includes(name), name);
  }
});

test('what the MTA must send follows from the names in a script', () => {
  assert.deepEqual(wantsOf(new Set(['smtp', 'do_mail'])), {});
  for (const name of ['header', 'require', 'dofile', 'loadfile', 'load', '_G']) {
    assert.deepEqual(wantsOf(new Set([name])), { headers: 'data' }, name);
  }
});

test('a package is loaded for a script that names a function of it, and for no other', () => {
  const loaded: string[] = [];
  const load = (name: string) => () => loaded.push(name);
  const modules = [
    { packages: [{ for: ['net.domain'], load: load('suffixes') }] },
    { packages: [{ for: ['kv.get', 'kv.store:get'], load: load('store') }] },
  ];
  const loadedFor = (...names: string[]): string[] => {
    loaded.length = 0;
    loadPackages(new Set(names), modules);
    return [...loaded];
  };
  assert.deepEqual(loadedFor('net', 'prefix'), []);
  assert.deepEqual(loadedFor('domain'), []);
  assert.deepEqual(loadedFor('net', 'domain'), ['suffixes']);
  assert.deepEqual(loadedFor('kv', 'get'), ['store']);
  // The names in files that it loads are looked at when it does.
  assert.deepEqual(loadedFor('require', 'dofile'), []);
  assert.deepEqual(loadedFor('load'), ['suffixes', 'store']);
});

test('the message is kept for scripts that may call a function that reads it', () => {
  const modules = [{ readsMessage: ['scan.clamd', 'mime.parts'] }, {}];
  const isKept = (names: string[], inFunctions: string[] = []): boolean =>
    mayReadMessage(new Set([...names, ...inFunctions]), new Set(inFunctions), modules);
  assert.equal(isKept(['scan', 'spamd'], ['print']), false);
  assert.equal(isKept(['scan'], ['clamd']), true);
  // What a main chunk loads is known before there is a message.
  assert.equal(isKept(['require']), false);
  assert.equal(isKept([], ['require']), true);
  assert.equal(isKept(['load']), true);
  assert.equal(mayReadMessage(new Set(['load']), new Set(['require']), [{}]), false);
});

test('a message is put into a file for scripts that may call a function that needs one', () => {
  const needsFile = (names: string[], inFunctions: string[] = []): boolean =>
    messageUsesOf(new Set([...names, ...inFunctions]), new Set(inFunctions)).needsFile;
  assert.equal(needsFile(['mime', 'parts', 'defects'], ['add']), false);
  assert.equal(needsFile(['mime', 'parts', 'scan'], ['clamd']), true);
  assert.equal(needsFile(['mime', 'parts'], ['require']), true);
});

test('functions that read the message are there', () => {
  for (const { readsMessage = [] } of MODULES)
    for (const name of readsMessage) assert.ok(NAMES.has(name) || FIELDS.has(name), name);
});

test('the compiler holds functions and services against the description', () => {
  const api = {
    title: 'x',
    doc: 'x',
    uses: ['records'],
    entries: [
      { kind: 'function', name: 'x.get', params: [], results: [], doc: 'x' },
      { kind: 'function', name: 'x.store:get', params: [], results: [], doc: 'x' },
      { kind: 'constant', name: 'x.ONE', value: 1 },
    ],
  } as const satisfies Chapter;
  const call: LuaFunction = () => 0;
  const right: FunctionsOf<typeof api> = { get: call, 'store:get': call };
  // @ts-expect-error A misspelt name.
  const misspelt: FunctionsOf<typeof api> = { gett: call, 'store:get': call };
  // @ts-expect-error A missing one.
  const missing: FunctionsOf<typeof api> = { get: call };
  // @ts-expect-error One more.
  const more: FunctionsOf<typeof api> = { get: call, 'store:get': call, set: call };
  // @ts-expect-error A service that is not among those it uses.
  const clock = (services: ServicesOf<typeof api>) => services.clock;
  assert.equal([right, misspelt, missing, more, clock].length, 5);
});
