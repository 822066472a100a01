/** Whether a function can see its first argument, told from its instructions. */
import type { Instruction, LClosure, Proto, TValue } from 'fengari';
import { internals } from '../engine/engine.ts';

const { OpCodesI: OP, OpArgK, OpArgR, getBMode, getCMode, iABC, getOpMode, BITRK } = internals.lopcodes;

/** Instructions whose A is no register. */
const WITHOUT_REGISTER_A: ReadonlySet<number> = new Set([
  OP.OP_SETTABUP,
  OP.OP_JMP,
  OP.OP_EQ,
  OP.OP_LT,
  OP.OP_LE,
  OP.OP_EXTRAARG,
]);

const known = new WeakMap<Proto, boolean>();

/**
 * False only where what the function is called with first cannot have any effect: a Lua function with a first parameter
 * that it never mentions, or with none at all.
 */
export function seesFirstArgument({ type, value }: TValue): boolean {
  if (type !== internals.tags.LUA_TLCL) return true;
  const proto = (value as LClosure).p;
  let sees = known.get(proto);
  if (sees === undefined) {
    sees = proto.numparams === 0 ? proto.is_vararg : readsFirstRegister(proto);
    known.set(proto, sees);
  }
  return sees;
}

/** A parameter keeps its register for as long as the function runs. An instruction that only writes to it counts too. */
function readsFirstRegister(proto: Proto): boolean {
  const inner = proto.p.some(({ upvalues }) => upvalues.some(({ instack, idx }) => instack && idx === 0));
  return inner || proto.code.some(mentionsFirstRegister);
}

function mentionsFirstRegister({ opcode, A, B, C }: Instruction): boolean {
  // The `return` at the end of every function: of no values, from register 0 on.
  if (opcode === OP.OP_RETURN && B === 1) return false;
  if (A === 0 && !WITHOUT_REGISTER_A.has(opcode)) return true;
  if (getOpMode(opcode) !== iABC) return false;
  return isFirstRegister(getBMode(opcode), B) || isFirstRegister(getCMode(opcode), C);
}

function isFirstRegister(mode: number, operand: number): boolean {
  return operand === 0 && (mode === OpArgR || (mode === OpArgK && (operand & BITRK) === 0));
}
