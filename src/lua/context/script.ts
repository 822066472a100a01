/** A policy script, compiled once and shared by all sessions. */
import type { LuaState, Proto, TString } from 'fengari';
import { internals, latin1Of, lua } from '../engine/engine.ts';
import { globalsOf, tableValue } from '../engine/values.ts';

export class Script {
  /** Nothing in it changes after compiling, so any number of states may run it. */
  readonly proto: Proto;
  /** File name or other name of the source. */
  readonly path: string;
  /** First 12 hexadecimal digits of the source's SHA-256. */
  readonly hash: string;
  #names: ReadonlySet<string> | undefined;
  /** By their instructions. */
  #functions: ReadonlyMap<readonly unknown[], Proto> | undefined;

  constructor(proto: Proto, path: string, hash: string) {
    this.proto = proto;
    this.path = path;
    this.hash = hash;
  }

  /** All strings that stand in the source, as field names or literals, in latin1. */
  names(): ReadonlySet<string> {
    if (this.#names === undefined) {
      const names = new Set<string>();
      collectStrings(this.proto, names);
      this.#names = names;
    }
    return this.#names;
  }

  /** Those of them that stand in its functions, and so mean something only when one is called. */
  namesInFunctions(): ReadonlySet<string> {
    const names = new Set<string>();
    for (const inner of this.proto.p) collectStrings(inner, names);
    return names;
  }

  /**
   * Finds out, when it is called, `file:line` that the function which a thread began with has returned from; a function
   * called in a `return` statement has taken its place. '' when that one is not of this file.
   */
  returnPosition(thread: LuaState): () => string {
    const frame = thread.outermost;
    if (frame?.l_code === undefined || frame.l_code === null) return () => '';
    const { l_code, l_savedpc } = frame;
    return () => this.#position(l_code, l_savedpc - 1);
  }

  #position(code: readonly unknown[], index: number): string {
    this.#functions ??= new Map(functionsIn(this.proto).map((proto) => [proto.code, proto]));
    const line = this.#functions.get(code)?.lineinfo[index];
    return line === undefined ? '' : `${this.path}:${line}`;
  }

  /** Pushes the main chunk as a function with L's own globals. */
  push(L: LuaState): void {
    const { lobject } = internals;
    const closure = new lobject.LClosure(L, this.proto.upvalues.length);
    closure.p = this.proto;
    closure.upvals[0] = tableValue(globalsOf(L)); // A main chunk has one upvalue, _ENV.
    lua.lua_checkstack(L, 1);
    L.stack[L.top++] = new lobject.TValue(internals.tags.LUA_TLCL, closure);
  }
}

function functionsIn(proto: Proto): Proto[] {
  return [proto, ...proto.p.flatMap(functionsIn)];
}

function collectStrings(proto: Proto, into: Set<string>): void {
  for (const { type, value } of proto.k) {
    if ((type & 0x0f) === lua.LUA_TSTRING) into.add(latin1Of((value as TString).realstring));
  }
  for (const inner of proto.p) collectStrings(inner, into);
}
