/** The server's end of the control socket: bound before the rights of root are given up. */
import { refusal } from '../net/endpoint.ts';
import { type Listener, listenUnix } from '../net/listener.ts';
import type { Options } from '../options/option-table.ts';
import { accountOf, type Identity } from '../system/privileges.ts';
import { wayTo } from '../system/way-there.ts';
import { EXIT, OperatorError } from '../text/operator-error.ts';
import { controlPathOfServer } from './control-path.ts';

export interface ControlSocket {
  readonly listener?: Listener;
  readonly path?: string;
  /** Why there is none. */
  readonly problem?: string;
}

/** Where nobody has asked for it, mail is not to suffer from a control socket that cannot be had. */
export async function bindControl(options: Options, identity: Identity | undefined): Promise<ControlSocket> {
  const account = accountOf(identity);
  const path = controlPathOfServer(options, account);
  if (path === undefined) return {};
  try {
    const { uid, gid, groups } = identity ?? {};
    if (options.workerUser !== undefined) {
      const { objection } = wayTo(path, [account.uid]);
      if (objection !== undefined)
        throw new OperatorError(`${objection}: a socket is not safe there`, EXIT.config);
    }
    return { path, listener: await listenUnix(path, { mode: 0o600, uid, gid, groups }) };
  } catch (error) {
    const written = options.control === undefined ? `no control socket at ${path}` : `--control ${path}`;
    const refused = await refusal(written, error, { kind: 'unix', path });
    if (options.control !== undefined) throw refused;
    return { problem: `${refused.message} (--control names another place)` };
  }
}
