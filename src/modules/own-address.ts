/** Functions that make one sender of another: an address in, an address out. */
import type { LuaFunction, LuaState } from 'fengari';
import { type Answer, known } from '../asking/answer.ts';
import { lua } from '../lua/engine/engine.ts';
import { hostOf } from '../lua/engine/host.ts';
import { pushLatin1 } from '../lua/engine/values.ts';
import type { Original } from '../mail-auth/own-senders.ts';
import { complain } from '../message/edit-link.ts';
import { MAX_ADDRESS_BYTES, pathOf } from '../message/mailbox.ts';
import { formatMailbox, readPath } from '../milter/envelope-address.ts';
import { checkText } from './arguments.ts';
import { resultsOf } from './job.ts';

/** HMACs and the reading of an address, in steps of Host.charge(). */
const STEPS = 2000;

/** An address that a script gives, in the form in which it is rewritten: no brackets, and no quotes. */
function checkAddress(L: LuaState): { readonly written: string; readonly bare: string } {
  const written = checkText(L, 1, MAX_ADDRESS_BYTES);
  const path = pathOf(written);
  if ('complaint' in path) return complain(L, 1, path.complaint);
  hostOf(L).charge(L, STEPS + written.length * 10);
  const { local, domain } = readPath(path.path);
  return { written, bare: domain === '' ? local : `${local}@${domain}` };
}

/** An address without quotes as it is written: in quotes where it needs them. */
function quotedWhereNeeded(bare: string): string {
  const at = bare.lastIndexOf('@');
  return at < 0
    ? formatMailbox({ local: bare, domain: '' })
    : formatMailbox({ local: bare.slice(0, at), domain: bare.slice(at + 1) });
}

/** A function that makes another address; one that stays as it is comes back as it was written. */
export function changing(change: (address: string, L: LuaState) => Answer<string>): LuaFunction {
  return (L) => {
    const { written, bare } = checkAddress(L);
    const answer = change(bare, L);
    const isSame = answer.kind === 'known' && answer.value === bare;
    return resultsOf(isSame ? known(written) : answer, (to, made) => {
      pushLatin1(to, isSame ? written : quotedWhereNeeded(made));
      return 1;
    })(L);
  };
}

/** A function that gives back what an address was before; or false, and why it is none of ours. */
export function undoing(undo: (address: string) => Answer<Original<string>>): LuaFunction {
  return (L) =>
    resultsOf(undo(checkAddress(L).bare), (to, original) => {
      if ('address' in original) {
        pushLatin1(to, quotedWhereNeeded(original.address));
        return 1;
      }
      lua.lua_pushboolean(to, false);
      pushLatin1(to, original.fault);
      return 2;
    })(L);
}
