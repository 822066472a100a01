/** Types of the part of fengari-interop 0.1.4 in use. It ships none. */
declare module 'fengari-interop' {
  import type { LuaFunction, LuaState } from 'fengari';

  const interop: {
    /** Leaves the table `js` on the stack. */
    luaopen_js: LuaFunction;
    /** Pushes any JavaScript value; luaopen_js must have run in the state. Text is encoded as UTF-8. */
    push(L: LuaState, value: unknown): void;
    tojs(L: LuaState, index: number): unknown;
  };
  export default interop;
}
