"""Named structures of the body: which voxels are liver, vessel, bowel, and who says so."""
