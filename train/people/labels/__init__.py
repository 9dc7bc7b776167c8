"""Labels of synthetic people, all from the geometry that was drawn.

    maps.maps          depth, normals, parts, dense UV, layers on both sides; joints and landmarks
    body.body_maps     the posed body as stage s03 would give it
    texture.unwrap     the outermost surface on the body's UV layout; texture.finish, texture.observed
    occupancy          inside / outside of any point; queries.sample makes training points
    face.face_box      JIFF's box round the face, and the head
    check.check        independent numbers about a finished sample
"""
