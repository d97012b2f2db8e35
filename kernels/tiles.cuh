// What the kernels share: how a volume lies in memory, how it is cut into tiles, sums of a block.
//
// Layout.  A volume has (nz + 2) x (ny + 2) rows of `pitch` elements (a multiple of 8, at least
// nx + 2) after FRONT elements, so that column 0 of every row of floats begins a 32 byte sector;
// voxel (z, y, x) is at FRONT + (z + 1) plane + (y + 1) pitch + x with plane = (ny + 2) pitch.
// Tiles.  A block of BLOCK threads works on TILE_Z x TILE_Y x TILE_X voxels, each thread on a
// column along z, so that a warp reads 32 neighbours and what lies above is read once.
// Sums.  Nothing is summed in an order that depends on timing: sums are one a block, added up on
// the host; what many blocks share is whole numbers (counts, maxima).

#ifndef TISSUES
#define TISSUES 16  // most tissues of one problem
#endif
#define TILE_X 32
#define TILE_Y 8
#define TILE_Z 8
#define BLOCK (TILE_X * TILE_Y)
#define FRONT 8
#define MIXED 128  // bit of a cell: some neighbour is another tissue

__device__ static inline int thread_number() { return threadIdx.y * TILE_X + threadIdx.x; }

// Tree reduction of each column over a block; the sums are in value[] of thread 0.
__device__ static inline void block_sum(float* shared, float* value, int columns)
{
    int n = thread_number();
    for (int c = 0; c < columns; ++c) shared[c * BLOCK + n] = value[c];
    __syncthreads();
    for (int half = BLOCK / 2; half > 0; half /= 2) {
        if (n < half)
            for (int c = 0; c < columns; ++c)
                shared[c * BLOCK + n] += shared[c * BLOCK + n + half];
        __syncthreads();
    }
    for (int c = 0; c < columns; ++c) value[c] = shared[c * BLOCK];
}

struct Box { int z0, z1, y0, y1, x0, x1; };

// The tile of block number `tile`, cut to the window (empty where z1 <= z0, y1 <= y0 or x1 <= x0).
__device__ static inline Box tile_box(int tile, int nz, int ny, int nx, const int* window)
{
    int tiles_x = (nx + TILE_X - 1) / TILE_X, tiles_y = (ny + TILE_Y - 1) / TILE_Y;
    int z = tile / (tiles_x * tiles_y) * TILE_Z;
    int y = tile / tiles_x % tiles_y * TILE_Y, x = tile % tiles_x * TILE_X;
    Box b;
    b.z0 = max(z, window[0]);
    b.z1 = min(min(z + TILE_Z, nz), window[1]);
    b.y0 = max(y, window[2]);
    b.y1 = min(min(y + TILE_Y, ny), window[3]);
    b.x0 = max(x, window[4]);
    b.x1 = min(min(x + TILE_X, nx), window[5]);
    return b;
}

__device__ static inline int tile_x(int tile, int nx)
{
    return tile % ((nx + TILE_X - 1) / TILE_X) * TILE_X + threadIdx.x;
}

__device__ static inline int tile_y(int tile, int nx, int ny)
{
    int row = tile / ((nx + TILE_X - 1) / TILE_X) % ((ny + TILE_Y - 1) / TILE_Y);
    return row * TILE_Y + threadIdx.y;
}

__device__ static inline bool empty(Box b) { return b.z1 <= b.z0 || b.y1 <= b.y0 || b.x1 <= b.x0; }
