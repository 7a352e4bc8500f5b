// How the elements of an operand are dealt to the threads of a block, which load a piece of it
// together: it depends on what lies together in memory.
//
//     ALONG_OUTER  neighbouring threads load neighbouring rows of a (columns of b)
//     ALONG_K      neighbouring threads load neighbouring k
//     IN_VECTORS   as ALONG_K, but a thread loads a whole vector of k where the memory allows
#pragma once

enum Order { ALONG_OUTER, ALONG_K, IN_VECTORS };
