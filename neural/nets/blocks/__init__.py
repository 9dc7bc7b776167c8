"""Parts that several networks share: convolution blocks, U-Nets, warps, and what makes them fast at inference."""
