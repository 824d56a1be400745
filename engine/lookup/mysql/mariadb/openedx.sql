-- The tables of an LMS that look-ups read, with the columns, types and keys
-- that the migrations of Open edX make, up to columns that no look-up reads.
CREATE DATABASE edxapp CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci;
USE edxapp;
CREATE TABLE auth_user (
  id int(11) NOT NULL AUTO_INCREMENT,
  password varchar(128) NOT NULL,
  last_login datetime(6) DEFAULT NULL,
  is_superuser tinyint(1) NOT NULL,
  username varchar(150) NOT NULL,
  first_name varchar(150) NOT NULL,
  last_name varchar(150) NOT NULL,
  email varchar(254) NOT NULL,
  is_staff tinyint(1) NOT NULL,
  is_active tinyint(1) NOT NULL,
  date_joined datetime(6) NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY username (username),
  UNIQUE KEY auth_user_email_uniq (email)
) ENGINE=InnoDB;
CREATE TABLE external_user_ids_externalidtype (
  id int(11) NOT NULL AUTO_INCREMENT,
  created datetime(6) NOT NULL,
  modified datetime(6) NOT NULL,
  name varchar(32) NOT NULL,
  description longtext NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY name (name)
) ENGINE=InnoDB;
CREATE TABLE external_user_ids_externalid (
  id int(11) NOT NULL AUTO_INCREMENT,
  created datetime(6) NOT NULL,
  modified datetime(6) NOT NULL,
  external_user_id char(32) NOT NULL,
  external_id_type_id int(11) NOT NULL,
  user_id int(11) NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY external_user_id (external_user_id),
  UNIQUE KEY external_user_ids_externalid_user_type_uniq (user_id, external_id_type_id),
  KEY external_user_ids_externalid_type (external_id_type_id),
  CONSTRAINT external_user_ids_externalid_type_fk FOREIGN KEY (external_id_type_id) REFERENCES external_user_ids_externalidtype (id),
  CONSTRAINT external_user_ids_externalid_user_fk FOREIGN KEY (user_id) REFERENCES auth_user (id)
) ENGINE=InnoDB;
CREATE TABLE course_overviews_courseoverview (
  created datetime(6) NOT NULL,
  modified datetime(6) NOT NULL,
  version int(11) NOT NULL,
  id varchar(255) NOT NULL,
  _location varchar(255) NOT NULL,
  org longtext NOT NULL,
  display_name longtext,
  display_number_with_default longtext NOT NULL,
  display_org_with_default longtext NOT NULL,
  language longtext,
  PRIMARY KEY (id)
) ENGINE=InnoDB;
INSERT INTO external_user_ids_externalidtype (created, modified, name, description) VALUES
  (NOW(6), NOW(6), 'mb_coaching', 'a service'), (NOW(6), NOW(6), 'lti', 'LTI'), (NOW(6), NOW(6), 'caliper', 'Caliper'), (NOW(6), NOW(6), 'xapi', 'xAPI');
INSERT INTO auth_user (id, password, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined)
  SELECT seq, '', 0, CONCAT('learner', seq), '', '', CONCAT('learner', seq, '@example.com'), 0, 1, NOW(6) FROM seq_100_to_2099;
INSERT INTO auth_user (id, password, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined) VALUES
  (7, '!', 0, 'ada', 'Ada', 'L', 'ada@example.com', 0, 1, NOW(6)),
  (8, '!', 0, 'josé', 'José', '', 'jose@example.com', 0, 1, NOW(6)),
  (9, '!', 0, '123456', '', '', 'digits@example.com', 0, 1, NOW(6)),
  (10, '!', 0, '7', '', '', 'seven@example.com', 0, 1, NOW(6)),
  (11, '!', 0, 'retired__user_52c6ab', '', '', 'retired__user_52c6ab@retired.invalid', 0, 0, NOW(6)),
  (12, '!', 0, 'new', '', '', 'new@example.com', 0, 1, NOW(6));
INSERT INTO external_user_ids_externalid (created, modified, external_user_id, external_id_type_id, user_id)
  SELECT NOW(6), NOW(6), INSERT(INSERT(MD5(CONCAT(t.name, ':', u.id)), 13, 1, '4'), 17, 1, 'a'), t.id, u.id
  FROM auth_user u JOIN external_user_ids_externalidtype t ON t.name IN ('lti', 'caliper', 'xapi') WHERE u.id <> 12;
INSERT INTO course_overviews_courseoverview VALUES
  (NOW(6), NOW(6), 18, 'course-v1:edX+DemoX+Demo_Course', 'block-v1:edX+DemoX+Demo_Course+type@course+block@course', 'edX', 'Données & Démonstration', 'DemoX', 'edX', 'en'),
  (NOW(6), NOW(6), 18, 'edX/Old/2012', 'i4x://edX/Old/course/2012', 'edX', NULL, 'Old', 'edX', NULL);
