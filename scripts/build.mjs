/** `npm run build`: compiles src to dist. */
import { build } from './prepare.mjs';

build();
